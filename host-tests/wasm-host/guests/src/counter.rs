//! Counts ticks of all VMs in one place, and says when all have been counted.
//!
//! Configuration: how many ticks each VM counts, and how many there will be of all, `5 15`.

use crate::roots::configuration;
use log::{error, info};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, Status};
use std::time::Duration;

const KEY: &str = "guests.count";

#[derive(Debug, Default)]
pub(crate) struct Root {
    left: u64,
    all: u64,
}

/// What has been counted, and its version.
fn read(context: &dyn Context) -> (u64, Option<u32>) {
    let (value, version) = context.get_shared_data(KEY);
    let bytes = value.and_then(|value| value.try_into().ok()).unwrap_or_default();
    (u64::from_le_bytes(bytes), version)
}

impl Root {
    /// Counts one more, whoever counts at the same time.
    fn count(&self) {
        loop {
            let (count, version) = read(self);
            match self.set_shared_data(KEY, Some(&(count + 1).to_le_bytes()), version) {
                Ok(()) => return,
                Err(Status::CasMismatch) => {}
                Err(status) => {
                    error!("not counted: {status:?}");
                    return;
                }
            }
        }
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = configuration(self);
        let mut numbers = text.split(' ').filter_map(|number| number.parse().ok());
        let (Some(left), Some(all)) = (numbers.next(), numbers.next()) else { return false };
        (self.left, self.all) = (left, all);
        // What is not there has no version, and two that write it at once would both succeed. The
        // first to come here is alone.
        if read(self).1.is_none() {
            let begun = self.set_shared_data(KEY, Some(&0_u64.to_le_bytes()), None);
            info!("begun: {begun:?}");
        }
        self.set_tick_period(Duration::from_millis(10));
        true
    }

    fn on_tick(&mut self) {
        if self.left > 0 {
            self.left -= 1;
            self.count();
        }
        if self.left == 0 && read(self).0 == self.all {
            info!("all counted");
            self.set_tick_period(Duration::ZERO);
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request;

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        let (count, version) = read(self);
        self.add_http_response_header("x-count", &count.to_string());
        self.add_http_response_header("x-version", &format!("{version:?}"));
        Action::Continue
    }
}
