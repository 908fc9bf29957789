//! Every colour, distance, size and duration of the window, light and dark, in one place.
//!
//! The photos are the only colourful thing on the screen: greys, one accent, three signals.
//! A test computes that text reaches a contrast of 4.5:1 wherever it is used.

use std::collections::BTreeMap;

use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle, Theme, Vec2, vec2};

/// Distances in points, on a 4-point grid.
pub mod space {
    pub const XS: f32 = 4.0;
    pub const S: f32 = 8.0;
    pub const M: f32 = 12.0;
    pub const L: f32 = 16.0;
    pub const XL: f32 = 24.0;
    pub const XXL: f32 = 40.0;
}

/// Text sizes in points.
pub mod text {
    pub const SMALL: f32 = 12.0;
    pub const BODY: f32 = 14.0;
    pub const LARGE: f32 = 16.0;
    pub const TITLE: f32 = 20.0;
    pub const ICON: f32 = 16.0;
}

/// Fixed sizes of the layout in points.
pub mod layout {
    pub const TOP_BAR: f32 = 56.0;
    pub const STATUS_BAR: f32 = 32.0;
    pub const RAIL: f32 = 224.0;
    pub const RAIL_NARROW: f32 = 176.0;
    pub const INSPECTOR: f32 = 304.0;
    pub const INSPECTOR_NARROW: f32 = 240.0;
    pub const ROW: f32 = 32.0;
    /// Between two thumbnails.
    pub const GRID_GAP: f32 = 8.0;
    /// The match bar below a thumbnail, with the room around it.
    pub const MATCH_BAR: f32 = 8.0;
    pub const DIVIDER: f32 = 48.0;
    pub const THUMB_MIN: f32 = 96.0;
    pub const THUMB_MAX: f32 = 320.0;
}

/// Seconds.
pub mod time {
    pub const FADE: f32 = 0.15;
    pub const PANEL: f32 = 0.12;
    /// Typing pauses this long before a search is asked.
    pub const DEBOUNCE: f64 = 0.12;
    /// A changed library is listed anew at most this often.
    pub const REFRESH: f64 = 1.0;
    /// How long a plain word of news stays.
    pub const NEWS: f64 = 6.0;
}

/// Corner radius of thumbnails, fields and buttons.
pub const RADIUS: u8 = 6;
/// Corner radius of cards and sheets.
pub const RADIUS_LARGE: u8 = 10;

/// The colours of one theme.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Behind the photos.
    pub canvas: Color32,
    /// Rail, bars and inspector.
    pub panel: Color32,
    /// Fields, cards, sheets.
    pub raised: Color32,
    pub hover: Color32,
    pub pressed: Color32,
    pub line: Color32,
    pub text: Color32,
    pub text_weak: Color32,
    /// Links, bars, focus rings.
    pub accent: Color32,
    /// The one primary button of a view, and what is written on it.
    pub accent_fill: Color32,
    pub on_accent: Color32,
    pub selected: Color32,
    pub warn: Color32,
    pub error: Color32,
    pub good: Color32,
    /// Where a thumbnail will be.
    pub placeholder: Color32,
    /// Over a photo, so that text on it can be read; and that text.
    pub scrim: Color32,
    pub on_scrim: Color32,
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

static DARK: Tokens = Tokens {
    canvas: rgb(0x131417),
    panel: rgb(0x1a1c20),
    raised: rgb(0x24272c),
    hover: rgb(0x2b2f35),
    pressed: rgb(0x343940),
    line: rgb(0x2c3036),
    text: rgb(0xe8eaed),
    text_weak: rgb(0xa3aab4),
    accent: rgb(0x7aa7ff),
    accent_fill: rgb(0x2d68dc),
    on_accent: rgb(0xffffff),
    selected: rgb(0x253a5e),
    warn: rgb(0xf2b85b),
    error: rgb(0xff8f86),
    good: rgb(0x7bd88f),
    placeholder: rgb(0x1e2125),
    scrim: Color32::from_rgba_premultiplied(8, 9, 10, 200),
    on_scrim: rgb(0xffffff),
};

static LIGHT: Tokens = Tokens {
    canvas: rgb(0xfbfbfc),
    panel: rgb(0xf2f3f5),
    raised: rgb(0xffffff),
    hover: rgb(0xe6e8ec),
    pressed: rgb(0xd9dce1),
    line: rgb(0xdcdfe4),
    text: rgb(0x1b1d21),
    text_weak: rgb(0x575e68),
    accent: rgb(0x2458c6),
    accent_fill: rgb(0x2458c6),
    on_accent: rgb(0xffffff),
    selected: rgb(0xd6e3ff),
    warn: rgb(0x7d5200),
    error: rgb(0xb3261e),
    good: rgb(0x1e6b34),
    placeholder: rgb(0xe9ebee),
    scrim: Color32::from_rgba_premultiplied(8, 9, 10, 200),
    on_scrim: rgb(0xffffff),
};

impl Tokens {
    /// The colours of a theme.
    pub fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Light => &LIGHT,
        }
    }

    /// The colours of the theme that is on.
    pub fn get(ctx: &egui::Context) -> &'static Self {
        Self::of(ctx.theme())
    }
}

/// Gives both of egui's themes our look.
pub fn install(ctx: &egui::Context, reduced_motion: bool) {
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| dress(style, Tokens::of(theme)));
    }
    set_motion(ctx, reduced_motion);
}

/// Animations on or off.
pub fn set_motion(ctx: &egui::Context, reduced: bool) {
    ctx.all_styles_mut(|style| style.animation_time = if reduced { 0.0 } else { time::PANEL });
}

fn dress(style: &mut egui::Style, t: &Tokens) {
    let sized = |size| FontId::new(size, FontFamily::Proportional);
    style.text_styles = BTreeMap::from([
        (TextStyle::Small, sized(text::SMALL)),
        (TextStyle::Body, sized(text::BODY)),
        (TextStyle::Button, sized(text::BODY)),
        (TextStyle::Heading, sized(text::TITLE)),
        (TextStyle::Monospace, FontId::new(text::SMALL, FontFamily::Monospace)),
    ]);
    style.explanation_tooltips = false;
    let s = &mut style.spacing;
    s.item_spacing = vec2(space::S, space::S);
    s.button_padding = vec2(space::M, space::XS);
    s.interact_size = vec2(space::XXL, space::L * 2.0);
    s.icon_spacing = space::S;
    s.menu_margin = Margin::same(space::XS as i8);
    s.menu_spacing = space::XS;
    s.window_margin = Margin::same(space::L as i8);
    s.tooltip_width = 360.0;
    s.combo_width = 160.0;
    s.scroll = egui::style::ScrollStyle::floating();
    s.scroll.bar_width = 10.0;
    s.scroll.floating_allocated_width = space::S;
    // A fade would darken photos at the edges.
    s.scroll.fade.strength = 0.0;

    let v = &mut style.visuals;
    v.override_text_color = None;
    v.weak_text_color = Some(t.text_weak);
    v.hyperlink_color = t.accent;
    v.faint_bg_color = t.panel;
    v.extreme_bg_color = t.raised;
    v.text_edit_bg_color = Some(t.raised);
    v.code_bg_color = t.raised;
    v.warn_fg_color = t.warn;
    v.error_fg_color = t.error;
    v.panel_fill = t.panel;
    v.window_fill = t.raised;
    v.window_stroke = Stroke::new(1.0, t.line);
    v.window_corner_radius = CornerRadius::same(RADIUS_LARGE);
    v.menu_corner_radius = CornerRadius::same(RADIUS);
    v.popup_shadow = Shadow { offset: [0, 4], blur: 16, spread: 0, color: Color32::from_black_alpha(60) };
    v.window_shadow = Shadow { offset: [0, 8], blur: 32, spread: 0, color: Color32::from_black_alpha(90) };
    v.selection.bg_fill = t.selected;
    v.selection.stroke = Stroke::new(1.0, t.accent);
    v.button_frame = true;
    v.slider_trailing_fill = true;
    v.handle_shape = egui::style::HandleShape::Circle;
    v.interact_cursor = Some(egui::CursorIcon::PointingHand);
    v.disabled_alpha = 0.55;

    let w = &mut v.widgets;
    for (visuals, fill, stroke, ink) in [
        (&mut w.noninteractive, t.panel, t.line, t.text),
        (&mut w.inactive, t.raised, t.line, t.text),
        (&mut w.hovered, t.hover, t.line, t.text),
        (&mut w.active, t.pressed, t.accent, t.text),
        (&mut w.open, t.hover, t.line, t.text),
    ] {
        visuals.bg_fill = fill;
        visuals.weak_bg_fill = fill;
        visuals.bg_stroke = Stroke::new(1.0, stroke);
        visuals.fg_stroke = Stroke::new(1.0, ink);
        visuals.corner_radius = CornerRadius::same(RADIUS);
        visuals.expansion = 0.0;
    }
    // The groove of a slider must show on a card as well as on a panel.
    w.inactive.bg_fill = t.pressed;
}

/// The size of the smallest square that a finger or a shaky hand hits.
pub const TARGET: Vec2 = vec2(32.0, 32.0);

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.1 contrast ratio.
    fn contrast(a: Color32, b: Color32) -> f64 {
        let luminance = |c: Color32| {
            let channel = |v: u8| {
                let v = f64::from(v) / 255.0;
                if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(c.r()) + 0.7152 * channel(c.g()) + 0.0722 * channel(c.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_wherever_it_stands() {
        for theme in [Theme::Dark, Theme::Light] {
            let t = Tokens::of(theme);
            let grounds = [t.canvas, t.panel, t.raised, t.hover, t.selected];
            for (name, ink, on) in [
                ("text", t.text, &grounds[..]),
                ("weak text", t.text_weak, &grounds[..]),
                ("accent", t.accent, &grounds[..4]),
                ("warning", t.warn, &grounds[..4]),
                ("error", t.error, &grounds[..4]),
                ("good", t.good, &grounds[..4]),
                ("on accent", t.on_accent, &[t.accent_fill][..]),
            ] {
                for &ground in on {
                    let ratio = contrast(ink, ground);
                    assert!(ratio >= 4.5, "{theme:?}: {name} on {ground:?} has {ratio:.2}");
                }
            }
            // The scrim over the brightest photo there can be.
            let over_white = t.scrim + Color32::from_white_alpha(255 - t.scrim.a());
            assert!(contrast(t.on_scrim, over_white) >= 4.5);
        }
    }
}
