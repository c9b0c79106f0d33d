//! Measures requests.

use log::info;
use proxy_wasm::hostcalls::{define_metric, get_metric, increment_metric, record_metric};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MetricType, Status};

#[derive(Debug, Default, Clone, Copy)]
struct Metrics {
    requests: u32,
    active: u32,
    sizes: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Root {
    metrics: Metrics,
}

impl Root {
    fn define(&mut self) -> Result<(), Status> {
        self.metrics = Metrics {
            requests: define_metric(MetricType::Counter, "guests.requests")?,
            active: define_metric(MetricType::Gauge, "guests.active")?,
            sizes: define_metric(MetricType::Histogram, "guests.sizes")?,
        };
        Ok(())
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.define().is_ok()
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { metrics: self.metrics }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Request {
    metrics: Metrics,
}

impl Request {
    fn show(&self, when: &str) {
        let Metrics { requests, active, sizes } = self.metrics;
        let (requests, active) = (get_metric(requests), get_metric(active));
        info!("{when}: {requests:?} {active:?} {:?}", get_metric(sizes));
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let Metrics { requests, active, .. } = self.metrics;
        info!("{:?} {:?}", increment_metric(requests, 1), increment_metric(active, 1));
        self.show("headers");
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, _end: bool) -> Action {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        info!("record {size}: {:?}", record_metric(self.metrics.sizes, size));
        Action::Continue
    }

    fn on_log(&mut self) {
        let Metrics { requests, active, sizes } = self.metrics;
        info!("back {:?}", increment_metric(active, -1));
        self.show("log");
        // What makes no sense.
        info!("less {:?}", increment_metric(requests, -1));
        info!("more of a histogram {:?}", increment_metric(sizes, 1));
        info!("unknown {:?}", record_metric(u32::MAX, 1));
        self.show("end");
    }
}
