//! WebAssembly modules that do harm on purpose: ours with a trap in it, and a plugin of somebody else.

use crate::Trouble;
use std::fmt::Write as _;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{BlockType, CodeSection, Function, Instruction};
use wasmparser::{ExternalKind, FunctionBody, Parser, Payload, TypeRef};

/// A module that differs from this one in a single function: the one that it exports under this
/// name traps.
///
/// # Errors
/// That the module cannot be read, or exports no such function of its own.
pub fn trapping(module: &[u8], export: &str) -> Result<Vec<u8>, Trouble> {
    with_trap(module, export, When::Always)
}

/// The same with a callback that gets a message's headers, which traps only where there are at least
/// so many of them: whoever writes the message chooses.
///
/// # Errors
/// As for [`trapping`].
pub fn trapping_at(module: &[u8], export: &str, headers: i32) -> Result<Vec<u8>, Trouble> {
    with_trap(module, export, When::Headers(headers))
}

fn with_trap(module: &[u8], export: &str, when: When) -> Result<Vec<u8>, Trouble> {
    let target = defined(module, export).map_err(|error| unreadable(&error))?;
    let target =
        target.ok_or_else(|| Trouble::new(format!("the module has no function `{export}`")))?;
    let mut trapped = wasm_encoder::Module::new();
    Trap { target, when, next: 0 }
        .parse_core_module(&mut trapped, Parser::new(0), module)
        .map_err(|error| Trouble::new(format!("the module cannot be written again: {error}")))?;
    Ok(trapped.finish())
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

/// When a function traps.
#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    /// Its second parameter, a number of headers, is at least this.
    Headers(i32),
}

/// Copies a module but for one function body.
struct Trap {
    target: u32,
    when: When,
    next: u32,
}

impl Reencode for Trap {
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
        let When::Headers(least) = self.when else {
            let mut trap = Function::new([]);
            trap.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
            code.function(&trap);
            return Ok(());
        };
        let mut trap = self.new_function_with_parsed_locals(&body)?;
        for instruction in [
            Instruction::LocalGet(1),
            Instruction::I32Const(least),
            Instruction::I32GeS,
            Instruction::If(BlockType::Empty),
            Instruction::Unreachable,
            Instruction::End,
        ] {
            trap.instruction(&instruction);
        }
        let mut rest = body.get_operators_reader()?;
        while !rest.eof() {
            trap.instruction(&self.parse_instruction(&mut rest)?);
        }
        code.function(&trap);
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
    fn a_writer_is_a_module() -> Result<(), Trouble> {
        let module = writer("a/\"key", &[0, 1, 255])?;
        assert_eq!(
            defined(&module, "proxy_on_configure").map_err(|error| unreadable(&error))?,
            Some(4)
        );
        Ok(())
    }
}
