//! The plots of the page, as SVG.

use super::jobs;
use super::sections::{LOADS, loads};
use crate::overload::figures::{Figures, success_by};
use crate::overload::number::{float, length};
use crate::overload::queue::SECOND;
use crate::overload::roster::Algorithm;
use crate::overload::scenario::{STEP, STRESS, Scenario};
use crate::overload::world::Played;
use kuva::backend::svg::SvgBackend;
use kuva::plot::{LegendPosition, LinePlot};
use kuva::render::figure::Figure;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;
use policy_core::{PerPriority, Priority};

/// Blue, green, amber, grey: apart for those who see colours differently, too.
const COLOURS: PerPriority<&str> =
    PerPriority { critical: "#0b4f9c", high: "#1b9e77", normal: "#e6a100", low: "#9a9a9a" };
const BOLD: f64 = 2.6;
const THIN: f64 = 1.5;
const FONT: &str = "Helvetica, Arial, sans-serif";

/// Whose success is shown over time.
const SHOWN: [Algorithm; 6] = [
    Algorithm::Nothing,
    Algorithm::AdaptiveConcurrency,
    Algorithm::Dagor,
    Algorithm::Gradient2,
    Algorithm::LadderStale,
    Algorithm::Ours,
];

/// All of them: name of the file and content.
pub fn all(seed: u64) -> Vec<(&'static str, String)> {
    let step = Scenario::step(seed, 3.0);
    let played = jobs::all("plots", &SHOWN, |algorithm| algorithm.play(&step));
    let loads = loads(seed);
    let ours = played.last().map(|played| control(&step, played)).unwrap_or_default();
    vec![
        ("success-over-time.svg", over_time(&played)),
        ("control-over-time.svg", ours),
        (
            "goodput-by-load.svg",
            by_load(&loads, "Goodput, of the capacity", |figures| figures.goodput),
        ),
        (
            "critical-by-load.svg",
            by_load(&loads, "Success of critical requests", |figures| figures.success.critical),
        ),
    ]
}

fn line(points: Vec<(f64, f64)>, colour: &str, width: f64, legend: Option<&str>) -> Plot {
    let plot = LinePlot::new().with_data(points).with_color(colour).with_stroke_width(width);
    Plot::Line(match legend {
        Some(legend) => plot.with_legend(legend),
        None => plot,
    })
}

/// Seconds since the step.
fn since_step(second: usize) -> f64 {
    length(second) - float(STEP / SECOND)
}

fn styled(layout: Layout) -> Layout {
    layout.with_font_family(FONT).with_title_size(15).with_label_size(12).with_tick_size(11)
}

fn over_time(played: &[Played]) -> String {
    let panel = |played: &Played| {
        Priority::ALL
            .iter()
            .rev()
            .map(|priority| {
                let seconds = played.tally.seconds.iter().enumerate().take(160).skip(20);
                let points = seconds.map(|(at, second)| {
                    let success =
                        success_by(std::slice::from_ref(second), |second| &second.answered);
                    (since_step(at), success[*priority])
                });
                let name = priority.as_str();
                line(points.collect(), COLOURS[*priority], BOLD, Some(name))
            })
            .collect::<Vec<_>>()
    };
    let panels: Vec<_> = played.iter().map(panel).collect();
    let layouts = panels.iter().zip(SHOWN).map(|(panel, algorithm)| {
        styled(Layout::auto_from_plots(panel))
            .with_title(algorithm.name())
            .with_y_axis_min(0.0)
            .with_y_axis_max(1.0)
            .with_x_axis_min(-10.0)
            .with_x_axis_max(130.0)
            .with_x_tick_step(30.0)
            .with_y_tick_step(0.25)
            .with_x_label("seconds since the step")
            .with_y_label("answered")
    });
    let layouts = layouts.collect();
    let scene = Figure::new(2, 3)
        .with_title("Success by priority while three times the capacity is asked for (0 to 90 s)")
        .with_plots(panels)
        .with_layouts(layouts)
        .with_cell_size(360.0, 240.0)
        .with_shared_legend_bottom()
        .render();
    SvgBackend::new().render_scene(&scene)
}

fn control(scenario: &Scenario, played: &Played) -> String {
    let shown = STEP - 10 * SECOND..STEP + STRESS + 20 * SECOND;
    let gauges = || played.tally.gauges.iter().filter(|(at, _)| shown.contains(at)).step_by(2);
    let at = |time: u64| float(time) / float(SECOND) - float(STEP / SECOND);
    let held = gauges().map(|(time, gauge)| (at(*time), float(gauge.in_flight))).collect();
    let limit = gauges().filter_map(|(time, gauge)| Some((at(*time), gauge.limit?))).collect();
    let keys = gauges().filter_map(|(time, gauge)| Some((at(*time), gauge.threshold?))).collect();
    let servers = f64::from(scenario.backend.servers);
    let (from, until) = (at(shown.start), at(shown.end));
    let flat = |value: f64| vec![(from, value), (until, value)];
    let mut panels = vec![
        vec![
            line(held, "#9ecae1", THIN, Some("in flight")),
            line(limit, COLOURS.critical, BOLD, Some("limit")),
            line(flat(servers), "#b2182b", THIN, Some("served at once")),
        ],
        vec![line(keys, "#333333", BOLD, Some("threshold"))],
    ];
    if let Some(panel) = panels.last_mut() {
        for (name, key, colour) in [
            ("where low begins", 192.0, COLOURS.low),
            ("where normal begins", 128.0, COLOURS.normal),
            ("where high begins", 64.0, COLOURS.high),
        ] {
            panel.push(line(flat(key), colour, THIN, Some(name)));
        }
    }
    let titles = [
        ("Limit and what is in flight, all proxies", "requests", 200.0, 50.0),
        ("Keys of priority and cohort that are let in", "of 256 keys", 256.0, 64.0),
    ];
    let layouts = panels.iter().zip(titles).map(|(panel, (title, label, most, tick))| {
        styled(Layout::auto_from_plots(panel))
            .with_title(title)
            .with_x_label("seconds since the step to three times the capacity")
            .with_y_label(label)
            .with_y_axis_min(0.0)
            .with_y_axis_max(most)
            .with_y_tick_step(tick)
            .with_x_axis_min(from)
            .with_x_axis_max(until)
            .with_x_tick_step(10.0)
            .with_legend_position(LegendPosition::OutsideRightMiddle)
    });
    let layouts = layouts.collect();
    let scene = Figure::new(2, 1)
        .with_plots(panels)
        .with_layouts(layouts)
        .with_cell_size(1000.0, 280.0)
        .render();
    SvgBackend::new().render_scene(&scene)
}

/// A colour and a width for each algorithm: ours stands out.
fn style(algorithm: Algorithm) -> (&'static str, f64) {
    match algorithm {
        Algorithm::Ours => ("#0b4f9c", 4.0),
        Algorithm::Nothing => ("#000000", THIN),
        Algorithm::AdaptiveConcurrency => ("#d6604d", THIN),
        Algorithm::AdmissionControl => ("#b2182b", THIN),
        Algorithm::Gradient2 => ("#1b9e77", THIN),
        Algorithm::Dagor => ("#762a83", THIN),
        Algorithm::Throttle => ("#a6761d", THIN),
        Algorithm::FlatLimit => ("#e6a100", THIN),
        Algorithm::LadderAlone => ("#66c2a5", THIN),
        Algorithm::LadderStale => ("#8c6bb1", THIN),
        Algorithm::LadderExact => ("#6baed6", THIN),
        Algorithm::LatencyRatio => ("#969696", THIN),
    }
}

fn by_load(loads: &[(Algorithm, Vec<Figures>)], title: &str, value: fn(&Figures) -> f64) -> String {
    // Ours last: above the others.
    let plots: Vec<_> = loads
        .iter()
        .rev()
        .map(|(algorithm, figures)| {
            let points = LOADS.iter().zip(figures).map(|(load, figures)| (*load, value(figures)));
            let (colour, width) = style(*algorithm);
            line(points.collect(), colour, width, Some(algorithm.name()))
        })
        .collect();
    let layout = styled(Layout::auto_from_plots(&plots))
        .with_width(960.0)
        .with_height(460.0)
        .with_title(title)
        .with_x_label("load, times the capacity")
        .with_y_axis_min(0.0)
        .with_y_axis_max(1.05)
        .with_x_tick_step(1.0)
        .with_y_tick_step(0.2)
        .with_legend_position(LegendPosition::OutsideRightMiddle);
    SvgBackend::new().render_scene(&render_multiple(plots, layout))
}
