//! Plots, as SVG that stands in a page and takes its colours from there.
//!
//! What is drawn in `INK`, `FAINT` and the colours of `SERIES` gets its real colour from a style sheet (`STYLE`), by the
//! attribute that it was drawn with: one for light pages, one for dark ones.

use std::ops::Range;

use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, ValueFormatter},
    },
    prelude::*,
};

use crate::measure::Estimate;

/// A plot.
#[derive(Clone, Debug)]
pub enum Plot {
    /// A bar for each of some things, with the interval of its length.
    Bars {
        /// What the length is, with its unit.
        unit: String,
        /// The bars, from above.
        bars: Vec<Bar>,
    },
    /// A line for each of some things.
    Lines {
        /// What stands to the right.
        x: Axis,
        /// What stands upwards.
        y: Axis,
        /// The lines.
        lines: Vec<Line>,
    },
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its points, from the left.
    pub points: Vec<(f64, f64)>,
    /// Its colour, by a number that is the same in all plots: the first is that of [bars](Bar) that are to be seen first.
    pub colour: usize,
}

impl Line {
    fn drawn(&self) -> RGBColor {
        SERIES[self.colour % SERIES.len()]
    }
}

/// A bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Its length.
    pub length: Estimate,
    /// Whether it is to be seen first.
    pub marked: bool,
}

/// An axis of a plot with lines.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it is, with its unit.
    pub name: String,
    /// Whether it is logarithmic, or else begins at zero.
    pub logarithmic: bool,
}

/// What text and axes are drawn in, and what grids are.
const INK: RGBColor = RGBColor(1, 1, 1);
const FAINT: RGBColor = RGBColor(2, 2, 2);

/// What things are drawn in, one after the other.
const SERIES: [RGBColor; 10] = [
    RGBColor(3, 1, 1),
    RGBColor(3, 1, 2),
    RGBColor(3, 1, 3),
    RGBColor(3, 1, 4),
    RGBColor(3, 1, 5),
    RGBColor(3, 1, 6),
    RGBColor(3, 1, 7),
    RGBColor(3, 1, 8),
    RGBColor(3, 1, 9),
    RGBColor(3, 1, 10),
];

/// What bars are drawn in that are to be seen first, and what others are.
const MARKED: RGBColor = SERIES[0];
const PLAIN: RGBColor = SERIES[8];

/// The colours of [`SERIES`] on light and on dark pages: told apart by those who see few colours too.
const COLOURS: [(&str, &str); 10] = [
    ("#0b6e99", "#56b4e9"),
    ("#b34700", "#e69f00"),
    ("#00705a", "#2fc79a"),
    ("#a3246b", "#e58fc0"),
    ("#5b4bb5", "#a79bf0"),
    ("#7a6100", "#d8c33c"),
    ("#93000a", "#ff8a80"),
    ("#3d5a00", "#a5d04a"),
    ("#8a8a8a", "#8f8f8f"),
    ("#00524f", "#5fd5d0"),
];

/// The style sheet that gives plots their colours; `dark` for dark pages.
#[must_use]
pub fn style(dark: bool) -> String {
    let rule = |colour: RGBColor, real: &str| {
        let RGBColor(red, green, blue) = colour;
        let drawn = format!("#{red:02X}{green:02X}{blue:02X}");
        format!("svg [fill=\"{drawn}\"]{{fill:{real}}}svg [stroke=\"{drawn}\"]{{stroke:{real}}}\n")
    };
    let (ink, faint) = if dark {
        ("#e8e8e8", "#444")
    } else {
        ("#1b1b1b", "#ddd")
    };
    let series = SERIES.into_iter().zip(COLOURS);
    let series = series
        .map(|(drawn, (on_light, on_dark))| rule(drawn, if dark { on_dark } else { on_light }));
    [rule(INK, ink), rule(FAINT, faint)]
        .into_iter()
        .chain(series)
        .collect()
}

/// How wide plots are, in their own units; a page scales them.
const WIDTH: u32 = 720;
/// How high a bar is with what parts it from the next, and how high what is below all of them.
const BAR: u32 = 30;
const BELOW: u32 = 60;
const LINES_HEIGHT: u32 = 420;
/// How high the name of a line is.
const LEGEND: u32 = 22;

const FONT: &str = "sans-serif";

/// Drawing failed: the backend writes into memory, so only what cannot be drawn can be at fault.
pub type DrawingError = Box<dyn std::error::Error + Send + Sync>;

impl Plot {
    /// The plot as an `svg` element, of which `title` is the text for those who do not see it.
    ///
    /// # Errors
    ///
    /// When there is nothing that can be drawn.
    pub fn svg(&self, title: &str) -> Result<String, DrawingError> {
        let mut svg = String::new();
        match self {
            Self::Bars { unit, bars } => {
                let height = BAR * u32::try_from(bars.len())? + BELOW;
                let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
                draw_bars(&area, unit, bars)?;
            }
            Self::Lines { x, y, lines } => {
                let legend = LEGEND * u32::try_from(lines.len().div_ceil(2))?;
                let size = (WIDTH, LINES_HEIGHT + legend);
                let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
                draw_lines(&area, x, y, lines)?;
            }
        }
        let title = super::html::escape(title);
        Ok(svg.replacen(
            "<svg ",
            &format!("<svg role=\"img\" aria-label=\"{title}\" "),
            1,
        ))
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Bars from above, their names before them and their lengths behind them.
fn draw_bars(area: &Area<'_>, unit: &str, bars: &[Bar]) -> Result<(), DrawingError> {
    let most = bars.iter().map(|bar| bar.length.high).fold(0.0, f64::max);
    let count = i32::try_from(bars.len())?;
    if most <= 0.0 || count == 0 {
        return Err("there are no bars to draw".into());
    }
    let mut chart = ChartBuilder::on(area)
        .margin(4)
        .margin_right(20)
        .y_label_area_size(210)
        .x_label_area_size(BELOW - 12)
        .build_cartesian_2d(0.0..most * 1.12, (0..count).into_segmented())?;
    let name = |place: &SegmentValue<i32>| match place {
        // The first bar is the uppermost.
        SegmentValue::CenterOf(place) => usize::try_from(count - 1 - place)
            .ok()
            .and_then(|place| bars.get(place))
            .map_or_else(String::new, |bar| bar.name.clone()),
        _ => String::new(),
    };
    let font = (FONT, 14).into_font().color(&INK);
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .axis_style(INK)
        .label_style(font.clone())
        .y_labels(bars.len())
        .x_labels(6)
        .y_label_formatter(&name)
        .x_label_formatter(&|length| number(*length))
        .x_desc(unit)
        .draw()?;
    for (place, bar) in (0..count).rev().zip(bars) {
        let Bar { length, marked, .. } = bar;
        let colour = if *marked { MARKED } else { PLAIN };
        let [from, to] = [place, place + 1].map(SegmentValue::Exact);
        let mut rectangle = Rectangle::new([(0.0, from), (length.median, to)], colour.filled());
        rectangle.set_margin(5, 5, 0, 0);
        chart.draw_series([rectangle])?;
        let middle = || SegmentValue::CenterOf(place);
        let whisker = [(length.low, middle()), (length.high, middle())];
        chart.draw_series([PathElement::new(whisker, INK.stroke_width(2))])?;
        let place = (length.high, middle());
        let label =
            EmptyElement::at(place) + Text::new(number(length.median), (6, -7), font.clone());
        chart.draw_series([label])?;
    }
    area.present()?;
    Ok(())
}

fn draw_lines(area: &Area<'_>, x: &Axis, y: &Axis, lines: &[Line]) -> Result<(), DrawingError> {
    let legend = LEGEND * u32::try_from(lines.len().div_ceil(2))?;
    let (above, below) = area.split_vertically(LINES_HEIGHT);
    let points = || lines.iter().flat_map(|line| line.points.iter());
    if points().count() == 0 {
        return Err("there are no points to draw".into());
    }
    let range = |of: fn(&(f64, f64)) -> f64, logarithmic: bool| -> Range<f64> {
        let most = points().map(of).fold(f64::MIN, f64::max);
        let least = points().map(of).fold(f64::MAX, f64::min);
        if logarithmic {
            (least / 1.5).max(0.1)..most * 1.5
        } else {
            least.min(0.0)..most * 1.05
        }
    };
    let (xs, ys) = (
        range(|it| it.0, x.logarithmic),
        range(|it| it.1, y.logarithmic),
    );
    match (x.logarithmic, y.logarithmic) {
        (true, true) => draw_in(&above, xs.log_scale(), ys.log_scale(), [x, y], lines)?,
        (true, false) => draw_in(&above, xs.log_scale(), ys, [x, y], lines)?,
        (false, true) => draw_in(&above, xs, ys.log_scale(), [x, y], lines)?,
        (false, false) => draw_in(&above, xs, ys, [x, y], lines)?,
    }
    let font = (FONT, 14).into_font().color(&INK);
    let column = i32::try_from(WIDTH / 2)?;
    for (place, line) in lines.iter().enumerate() {
        let place = i32::try_from(place)?;
        let (left, top) = (20 + place % 2 * column, place / 2 * i32::try_from(LEGEND)?);
        debug_assert!(top < i32::try_from(legend)?);
        let mark = Rectangle::new(
            [(left, top + 4), (left + 14, top + 14)],
            line.drawn().filled(),
        );
        below.draw(&mark)?;
        below.draw(&Text::new(
            line.name.clone(),
            (left + 22, top + 2),
            font.clone(),
        ))?;
    }
    area.present()?;
    Ok(())
}

fn draw_in<X, Y>(
    area: &Area<'_>,
    xs: X,
    ys: Y,
    [x, y]: [&Axis; 2],
    lines: &[Line],
) -> Result<(), DrawingError>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(24)
        .y_label_area_size(70)
        .x_label_area_size(50)
        .build_cartesian_2d(xs, ys)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .axis_style(INK)
        .label_style((FONT, 14).into_font().color(&INK))
        .x_labels(6)
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value))
        .x_desc(&x.name)
        .y_desc(&y.name)
        .draw()?;
    for line in lines {
        let series = LineSeries::new(line.points.iter().copied(), line.drawn().stroke_width(2));
        chart.draw_series(series.point_size(3))?;
    }
    Ok(())
}

/// A number as short as it may be: to a tenth where it is small.
fn number(value: f64) -> String {
    let value = (value * 10.0).round() / 10.0;
    if value.abs() < 10.0 && value.fract() != 0.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(median: f64) -> Estimate {
        Estimate {
            median,
            low: median * 0.9,
            high: median * 1.1,
        }
    }

    #[test]
    fn bars_have_their_names_and_lengths() {
        let bar = |name: &str, length, marked| Bar {
            name: name.to_owned(),
            length: exactly(length),
            marked,
        };
        let plot = Plot::Bars {
            unit: "packets".to_owned(),
            bars: vec![bar("one", 7.0, true), bar("two & more", 23.0, false)],
        };
        let svg = plot.svg("a <title>").unwrap();
        assert!(
            svg.starts_with("<svg role=\"img\" aria-label=\"a &lt;title&gt;\""),
            "{svg}"
        );
        for text in ["one", "two &amp; more", "23", "packets"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        let drawn = |colour: &str| svg.contains(&format!("fill=\"{colour}\""));
        assert!(drawn("#030101") && drawn("#030109") && !drawn("#030102"));
    }

    #[test]
    fn lines_are_drawn_on_either_kind_of_axis() {
        let axis = |name: &str, logarithmic| Axis {
            name: name.to_owned(),
            logarithmic,
        };
        for (x, y) in [(false, false), (false, true), (true, false), (true, true)] {
            let plot = Plot::Lines {
                x: axis("prefixes", x),
                y: axis("nanoseconds", y),
                lines: vec![Line {
                    name: "trie".to_owned(),
                    points: vec![(10_000.0, 100.0), (1e6, 400.0)],
                    colour: 1,
                }],
            };
            let svg = plot.svg("lookups").unwrap();
            assert!(svg.contains("<polyline") && svg.contains("trie"), "{svg}");
            assert!(svg.contains("stroke=\"#030102\""), "{svg}");
        }
    }

    #[test]
    fn what_has_nothing_to_draw_is_an_error() {
        let (unit, bars) = (String::new(), Vec::new());
        assert!(Plot::Bars { unit, bars }.svg("").is_err());
    }

    #[test]
    fn every_colour_is_in_the_style_sheet() {
        for dark in [false, true] {
            let style = style(dark);
            assert_eq!(style.lines().count(), SERIES.len() + 2);
            assert!(style.contains("svg [fill=\"#03010A\"]"), "{style}");
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.25, 7.0, 9.96, 1234.4].map(number),
            ["0.3", "7", "10", "1234"]
        );
    }
}
