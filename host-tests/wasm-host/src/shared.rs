//! What VMs of one id share: data with compare-and-swap, and queues.

use crate::Status;
use std::collections::{BTreeMap, VecDeque};

/// Values by VM id and key.
#[derive(Debug, Default)]
pub(crate) struct SharedData {
    values: BTreeMap<(String, Vec<u8>), (Vec<u8>, u32)>,
    last_cas: u32,
}

impl SharedData {
    pub(crate) fn get(&self, vm_id: &str, key: &[u8]) -> Option<(&[u8], u32)> {
        let (value, cas) = self.values.get(&(vm_id.to_owned(), key.to_vec()))?;
        Some((value, *cas))
    }

    /// Zero for `cas` writes whatever is there; so does any other number where nothing is.
    pub(crate) fn set(
        &mut self,
        vm_id: &str,
        key: &[u8],
        value: &[u8],
        cas: u32,
    ) -> Result<(), Status> {
        let key = (vm_id.to_owned(), key.to_vec());
        let known = self.values.get(&key).map(|(_, cas)| *cas);
        if known.is_some_and(|known| cas != 0 && cas != known) {
            return Err(Status::CasMismatch);
        }
        // Never 0, which would match everything.
        self.last_cas = self.last_cas.checked_add(1).unwrap_or(1);
        self.values.insert(key, (value.to_vec(), self.last_cas));
        Ok(())
    }
}

/// Who is told of what comes into a queue: the last that registered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) worker: usize,
    pub(crate) vm_key: String,
    pub(crate) root: u32,
}

#[derive(Debug)]
struct Queue {
    reader: Reader,
    items: VecDeque<Vec<u8>>,
}

/// Queues by VM id and name.
#[derive(Debug, Default)]
pub(crate) struct SharedQueues {
    tokens: BTreeMap<(String, Vec<u8>), u32>,
    queues: BTreeMap<u32, Queue>,
}

impl SharedQueues {
    /// Registers a reader. What is in the queue already stays.
    pub(crate) fn register(&mut self, vm_id: &str, name: &[u8], reader: Reader) -> u32 {
        let next = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX).saturating_add(1);
        let token = *self.tokens.entry((vm_id.to_owned(), name.to_vec())).or_insert(next);
        let items = self.queues.remove(&token).map(|queue| queue.items).unwrap_or_default();
        self.queues.insert(token, Queue { reader, items });
        token
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &[u8]) -> Option<u32> {
        self.tokens.get(&(vm_id.to_owned(), name.to_vec())).copied()
    }

    pub(crate) fn enqueue(&mut self, token: u32, item: &[u8]) -> Result<Reader, Status> {
        let queue = self.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.push_back(item.to_vec());
        Ok(queue.reader.clone())
    }

    pub(crate) fn dequeue(&mut self, token: u32) -> Result<Vec<u8>, Status> {
        let queue = self.queues.get_mut(&token).ok_or(Status::NotFound)?;
        queue.items.pop_front().ok_or(Status::Empty)
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, SharedData, SharedQueues};
    use crate::Status;

    #[test]
    fn data_is_swapped_only_by_who_saw_it() {
        let mut data = SharedData::default();
        assert_eq!(data.set("vm", b"k", b"1", 77), Ok(()), "absent: any number inserts");
        let (_, cas) = data.get("vm", b"k").unwrap();
        assert_eq!(data.set("vm", b"k", b"2", cas + 1), Err(Status::CasMismatch));
        assert_eq!(data.set("vm", b"k", b"2", cas), Ok(()));
        assert_eq!(data.set("vm", b"k", b"3", cas), Err(Status::CasMismatch), "it moved on");
        assert_eq!(data.set("vm", b"k", b"3", 0), Ok(()), "0 asks nothing");
        assert_eq!(data.get("vm", b"k").unwrap().0, b"3");
        assert_eq!(data.get("other", b"k"), None);
    }

    #[test]
    fn the_last_reader_is_told() {
        let mut queues = SharedQueues::default();
        let reader = |worker| Reader { worker, vm_key: "key".into(), root: 2 };
        let token = queues.register("vm", b"q", reader(1));
        assert_eq!(queues.enqueue(token, b"a"), Ok(reader(1)));
        assert_eq!(queues.register("vm", b"q", reader(2)), token);
        assert_eq!(queues.enqueue(token, b"b"), Ok(reader(2)));
        assert_eq!(queues.resolve("vm", b"q"), Some(token));
        assert_eq!(queues.resolve("other", b"q"), None);
        assert_eq!(queues.dequeue(token), Ok(b"a".to_vec()), "what was there stays");
        assert_eq!(queues.dequeue(token), Ok(b"b".to_vec()));
        assert_eq!(queues.dequeue(token), Err(Status::Empty));
        assert_eq!(queues.dequeue(9), Err(Status::NotFound));
    }
}
