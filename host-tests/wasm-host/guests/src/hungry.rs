//! Takes more than there is, of memory and of stack.

use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::hint::black_box;

const MIB: usize = 1024 * 1024;

pub(crate) struct Hog;

impl Context for Hog {}

impl RootContext for Hog {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Hogging))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Hogging;

impl Context for Hogging {}

impl HttpContext for Hogging {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let mut taken: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut more = Vec::new();
            if let Err(error) = more.try_reserve_exact(64 * MIB) {
                info!("after {} MiB: {error}", 64 * taken.len());
                break;
            }
            taken.push(more);
        }
        if self.get_http_request_header(":path").as_deref() == Some("/insist") {
            // Who does not ask whether it is possible is not told that it is not.
            let insisting: Vec<u8> = Vec::with_capacity(64 * MIB);
            info!("insisted: {}", black_box(insisting).capacity());
        }
        drop(black_box(taken));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        // What was given back can be had again.
        let again: Vec<u8> = Vec::with_capacity(512 * MIB);
        info!("again: {}", black_box(again).capacity());
        Action::Continue
    }
}

pub(crate) struct Deep;

impl Context for Deep {}

impl RootContext for Deep {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Diving))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Diving;

impl Context for Diving {}

impl HttpContext for Diving {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        let (what, depth) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let depth = depth.parse().unwrap_or(u32::MAX);
        let reached = if what == "wide" { wide(depth) } else { narrow(depth) };
        info!("{what}: {reached}");
        Action::Continue
    }
}

/// Recursion on the stack of the machine alone.
#[inline(never)]
fn narrow(left: u32) -> u32 {
    if left == 0 { 0 } else { black_box(narrow)(left - 1) + 1 }
}

/// Recursion that takes 1 KiB of the guest's own stack at each step, in its memory.
#[inline(never)]
fn wide(left: u32) -> u32 {
    let room = black_box([0_u8; 1024]);
    let room = u32::from(room.iter().all(|byte| *byte == 0));
    if left == 0 { 0 } else { black_box(wide)(left - 1) + room }
}
