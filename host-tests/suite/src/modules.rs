//! WebAssembly modules that do harm on purpose: ours with a trap or a stall in it, and a plugin of
//! somebody else.

use crate::Trouble;
use std::fmt::Write as _;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{BlockType, CodeSection, Function, Instruction, MemArg, MemArgTarget};
use wasmparser::{ExternalKind, FunctionBody, Parser, Payload, TypeRef};

/// A module that differs from this one in a single function: the one that it exports under this
/// name traps.
///
/// # Errors
/// That the module cannot be read, or exports no such function of its own.
pub fn trapping(module: &[u8], export: &str) -> Result<Vec<u8>, Trouble> {
    changed(module, export, Change::Whole(&[Instruction::Unreachable]))
}

/// The same with a callback that traps only where its second parameter is at least this: the number of
/// a message's headers, which whoever writes the message chooses; of an answer, the number of its call.
///
/// # Errors
/// As for [`trapping`].
pub fn trapping_at(module: &[u8], export: &str, least: i32) -> Result<Vec<u8>, Trouble> {
    let trap = [
        Instruction::LocalGet(1),
        Instruction::I32Const(least),
        Instruction::I32GeS,
        Instruction::If(BlockType::Empty),
        Instruction::Unreachable,
        Instruction::End,
    ];
    changed(module, export, Change::Before(&trap))
}

/// A module whose VM stalls with its answer to call number `call`, or the first one after it: that is not
/// taken, and its timer does nothing any more. Only the VM that asks an agent has any.
///
/// # Errors
/// As for [`trapping`].
pub fn stalling_at(module: &[u8], call: i32) -> Result<Vec<u8>, Trouble> {
    // The lowest end of the stack, which nothing reaches.
    const MARK: i32 = 8;
    let here = MemArg { offset: 0, align: 2, target: MemArgTarget::Memory(0), ordering: None };
    let stall = [
        Instruction::LocalGet(1),
        Instruction::I32Const(call),
        Instruction::I32GeU,
        Instruction::If(BlockType::Empty),
        Instruction::I32Const(MARK),
        Instruction::I32Const(1),
        Instruction::I32Store(here),
        Instruction::Return,
        Instruction::End,
    ];
    let stand_still = [
        Instruction::I32Const(MARK),
        Instruction::I32Load(here),
        Instruction::If(BlockType::Empty),
        Instruction::Return,
        Instruction::End,
    ];
    let stalling = changed(module, "proxy_on_http_call_response", Change::Before(&stall))?;
    changed(&stalling, "proxy_on_tick", Change::Before(&stand_still))
}

fn changed(module: &[u8], export: &str, change: Change<'_>) -> Result<Vec<u8>, Trouble> {
    let target = defined(module, export).map_err(|error| unreadable(&error))?;
    let target =
        target.ok_or_else(|| Trouble::new(format!("the module has no function `{export}`")))?;
    let mut copy = wasm_encoder::Module::new();
    Copy { target, change, next: 0 }
        .parse_core_module(&mut copy, Parser::new(0), module)
        .map_err(|error| Trouble::new(format!("the module cannot be written again: {error}")))?;
    Ok(copy.finish())
}

fn unreadable(error: &wasmparser::BinaryReaderError) -> Trouble {
    Trouble::new(format!("the module cannot be read: {error}"))
}

/// The number of an exported function among those that the module defines itself.
fn defined(module: &[u8], export: &str) -> Result<Option<u32>, wasmparser::BinaryReaderError> {
    let (mut imported, mut found) = (0_u32, None);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let is_function =
                        matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                    imported = imported.saturating_add(u32::from(is_function));
                }
            }
            Payload::ExportSection(exports) => {
                for known in exports {
                    let known = known?;
                    if known.name == export && known.kind == ExternalKind::Func {
                        found = Some(known.index);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found.and_then(|index| index.checked_sub(imported)))
}

/// What one function does otherwise.
#[derive(Debug, Clone, Copy)]
enum Change<'c> {
    /// It does this and nothing else.
    Whole(&'c [Instruction<'static>]),
    /// It does this first.
    Before(&'c [Instruction<'static>]),
}

/// Copies a module but for one function body.
struct Copy<'c> {
    target: u32,
    change: Change<'c>,
    next: u32,
}

impl Reencode for Copy<'_> {
    type Error = std::convert::Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), reencode::Error> {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        if number != self.target {
            return utils::parse_function_body(self, code, body);
        }
        let mut copy = match self.change {
            Change::Whole(_) => Function::new([]),
            Change::Before(_) => self.new_function_with_parsed_locals(&body)?,
        };
        let (Change::Whole(new) | Change::Before(new)) = self.change;
        for instruction in new {
            copy.instruction(instruction);
        }
        if let Change::Whole(_) = self.change {
            copy.instruction(&Instruction::End);
            code.function(&copy);
            return Ok(());
        }
        let mut rest = body.get_operators_reader()?;
        while !rest.eof() {
            copy.instruction(&self.parse_instruction(&mut rest)?);
        }
        code.function(&copy);
        Ok(())
    }
}

/// A plugin that does one thing when it is configured: it writes a value into shared data. Envoy
/// gives every plugin without a VM id the same shared data.
///
/// # Errors
/// That the text below is no module.
pub fn writer(key: &str, value: &[u8]) -> Result<Vec<u8>, Trouble> {
    let text = format!(
        r#"(module
            (import "env" "proxy_set_shared_data"
                (func $share (param i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 4)
            (data (i32.const 16) "{key}")
            (data (i32.const 65536) "{value}")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 131072))
            (func (export "proxy_on_context_create") (param i32 i32))
            (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
            (func (export "proxy_on_configure") (param i32 i32) (result i32)
                (drop (call $share
                    (i32.const 16) (i32.const {key_length})
                    (i32.const 65536) (i32.const {value_length})
                    (i32.const 0)))
                (i32.const 1)))"#,
        key = escaped(key.as_bytes()),
        value = escaped(value),
        key_length = key.len(),
        value_length = value.len(),
    );
    wat::parse_str(text).map_err(|error| Trouble::new(format!("no module: {error}")))
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_function_traps_and_the_rest_is_as_it_was() -> Result<(), Trouble> {
        let module = wat::parse_str(
            r#"(module
                (import "env" "log" (func))
                (func (export "one") (result i32) (i32.const 1))
                (func (export "two") (result i32) (i32.const 2)))"#,
        )
        .map_err(|error| Trouble::new(error.to_string()))?;
        let trapped = trapping(&module, "two")?;
        let expected = wat::parse_str(
            r#"(module
                (import "env" "log" (func))
                (func (export "one") (result i32) (i32.const 1))
                (func (export "two") (result i32) unreachable))"#,
        )
        .map_err(|error| Trouble::new(error.to_string()))?;
        assert_eq!(trapped, expected);
        assert!(trapping(&module, "three").is_err());
        Ok(())
    }

    #[test]
    fn a_function_may_trap_by_the_number_of_headers() -> Result<(), Trouble> {
        let parse =
            |text: &str| wat::parse_str(text).map_err(|error| Trouble::new(error.to_string()));
        let module = parse(
            r#"(module (func (export "on") (param i32 i32) (result i32) (local i64) (local.get 1)))"#,
        )?;
        let expected = parse(
            r#"(module (func (export "on") (param i32 i32) (result i32) (local i64)
                (if (i32.ge_s (local.get 1) (i32.const 9)) (then unreachable))
                (local.get 1)))"#,
        )?;
        assert_eq!(trapping_at(&module, "on", 9)?, expected);
        Ok(())
    }

    #[test]
    fn a_timer_may_stand_still_after_an_answer() -> Result<(), Trouble> {
        let parse =
            |text: &str| wat::parse_str(text).map_err(|error| Trouble::new(error.to_string()));
        let module = parse(
            r#"(module (memory 1)
                (func (export "proxy_on_http_call_response") (param i32 i32) (drop (local.get 0)))
                (func (export "proxy_on_tick") (param i32) (drop (local.get 0))))"#,
        )?;
        let expected = parse(
            r#"(module (memory 1)
                (func (export "proxy_on_http_call_response") (param i32 i32)
                    (if (i32.ge_u (local.get 1) (i32.const 6))
                        (then (i32.store (i32.const 8) (i32.const 1)) return))
                    (drop (local.get 0)))
                (func (export "proxy_on_tick") (param i32)
                    (if (i32.load (i32.const 8)) (then return))
                    (drop (local.get 0))))"#,
        )?;
        assert_eq!(stalling_at(&module, 6)?, expected);
        Ok(())
    }

    #[test]
    fn a_writer_is_a_module() -> Result<(), Trouble> {
        let module = writer("a/\"key", &[0, 1, 255])?;
        assert_eq!(
            defined(&module, "proxy_on_configure").map_err(|error| unreadable(&error))?,
            Some(4)
        );
        Ok(())
    }
}
