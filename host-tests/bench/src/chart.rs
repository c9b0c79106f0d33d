//! Charts as SVG: a panel for each case, a line for each variant.

use crate::case::Case;
use crate::run::Measured;
use crate::variant::Variant;
use kuva::backend::svg::SvgBackend;
use kuva::plot::LinePlot;
use kuva::render::figure::Figure;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use simulation::overload::number::{float, length, share};
use simulation::overload::queue::{SECOND, Us};
use simulation::overload::tally::Second;

/// The file of the one.
pub const GOODPUT: &str = "goodput.svg";
/// The file of the other.
pub const CRITICAL: &str = "critical.svg";

const COLUMNS: usize = 2;
/// Answers of a backlog come faster than the capacity has it, for a second.
const TOP: f64 = 1.2;
const FONT: &str = "Helvetica, Arial, sans-serif";

/// Goodput by the second, as a share of what the upstream can do when it is well.
pub fn goodput(measured: &[Measured]) -> String {
    let value = |one: &Measured, second: &Second| {
        Some(f64::from(second.in_time) / one.scenario.backend.capacity())
    };
    chart("Goodput by the second, of the full capacity", "of the capacity", measured, value)
}

/// Success of critical requests, by the second in which they were made.
pub fn critical(measured: &[Measured]) -> String {
    let value = |_: &Measured, second: &Second| {
        let asked = second.asked.critical;
        (asked > 0).then(|| share(second.answered.critical.into(), asked.into()))
    };
    chart("Critical requests that were answered, by the second", "answered", measured, value)
}

fn chart(
    title: &str,
    label: &str,
    measured: &[Measured],
    value: impl Fn(&Measured, &Second) -> Option<f64>,
) -> String {
    let mut cases: Vec<Case> = measured.iter().map(|one| one.case).collect();
    cases.dedup();
    let panel = |case: &Case| {
        let mut of: Vec<_> = measured.iter().filter(|one| one.case == *case).collect();
        // Ours last: above the others.
        of.sort_by_key(|one| one.variant as u8);
        let ends = of.first().map(|one| [one.scenario.stress.start, one.scenario.stress.end]);
        let ends = ends.into_iter().flatten().map(mark);
        ends.chain(of.iter().map(|one| line(one, &value))).collect::<Vec<_>>()
    };
    let panels: Vec<_> = cases.iter().map(panel).collect();
    let end = measured.iter().map(|one| one.scenario.end).max().unwrap_or(SECOND);
    let layouts = panels.iter().zip(&cases).map(|(panel, case)| {
        Layout::auto_from_plots(panel)
            .with_font_family(FONT)
            .with_title_size(15)
            .with_label_size(12)
            .with_tick_size(11)
            .with_title(case.name())
            .with_x_axis_min(0.0)
            .with_x_axis_max(float(end / SECOND))
            .with_y_axis_min(0.0)
            .with_y_axis_max(TOP)
            .with_y_tick_step(0.2)
            .with_x_label("seconds")
            .with_y_label(label)
    });
    let layouts = layouts.collect();
    let scene = Figure::new(cases.len().div_ceil(COLUMNS), COLUMNS)
        .with_title(title)
        .with_plots(panels)
        .with_layouts(layouts)
        .with_cell_size(480.0, 230.0)
        .with_shared_legend_bottom()
        .render();
    SvgBackend::new().render_scene(&scene)
}

/// Where the case begins, or ends.
fn mark(at: Us) -> Plot {
    let x = float(at) / float(SECOND);
    let plot = LinePlot::new().with_data(vec![(x, 0.0), (x, TOP)]);
    Plot::Line(plot.with_color("#9a9a9a").with_stroke_width(1.0))
}

fn line(one: &Measured, value: &impl Fn(&Measured, &Second) -> Option<f64>) -> Plot {
    let seconds = usize::try_from(one.scenario.end / SECOND).unwrap_or(0);
    let points = one.seconds.iter().take(seconds).enumerate();
    let points = points.filter_map(|(at, second)| Some((length(at) + 0.5, value(one, second)?)));
    let (colour, width) = style(one.variant);
    let plot = LinePlot::new()
        .with_data(points.collect::<Vec<_>>())
        .with_color(colour)
        .with_stroke_width(width)
        .with_legend(one.variant.name());
    Plot::Line(plot)
}

/// Colours that can be told apart whatever somebody sees.
const fn style(variant: Variant) -> (&'static str, f64) {
    match variant {
        Variant::None => ("#000000", 1.5),
        Variant::AdaptiveConcurrency => ("#e6a100", 1.5),
        Variant::AdmissionControl => ("#b2182b", 1.5),
        Variant::Meshfence => ("#0b4f9c", 2.6),
        Variant::Both => ("#1b9e77", 2.6),
    }
}
