//! The fonts: a good Latin face and a Noto Sans SC subset that ship with the program, the icons,
//! and, for every other script, whatever the system has (eframe's system fonts).

use std::sync::Arc;

use egui::{Context, FontData, FontDefinitions, FontFamily};

/// The family of the icons; never mixed with text, so that no screen reader meets them.
const ICONS: &str = "icons";
/// The family of headings.
const STRONG: &str = "strong";

const REGULAR: &str = "fonts/Inter-Regular.otf";
const SEMIBOLD: &str = "fonts/Inter-SemiBold.otf";
const CHINESE: &str = "fonts/NotoSansSC-Regular.otf";

/// The icons' family.
pub fn icons() -> FontFamily {
    FontFamily::Name(ICONS.into())
}

/// The headings' family.
pub fn strong() -> FontFamily {
    FontFamily::Name(STRONG.into())
}

/// Installs the fonts that `read` can find; a missing one is replaced by the system's.
pub fn install(ctx: &Context, read: impl Fn(&str) -> Option<Vec<u8>>) {
    let mut fonts = FontDefinitions::empty();
    let icon_font = FontData::from_static(include_bytes!("../../assets/icons/phosphor-subset.ttf"));
    fonts.font_data.insert(ICONS.to_owned(), Arc::new(icon_font));
    fonts.families.insert(icons(), vec![ICONS.to_owned()]);
    for name in [REGULAR, SEMIBOLD, CHINESE] {
        match read(name) {
            Some(bytes) => drop(fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_owned(bytes)))),
            None => log::warn!("a font that ships with the program is missing, the system's is used: {name}"),
        }
    }
    for (family, order) in [
        (FontFamily::Proportional, [REGULAR, CHINESE, ICONS]),
        (FontFamily::Monospace, [REGULAR, CHINESE, ICONS]),
        (strong(), [SEMIBOLD, CHINESE, ICONS]),
    ] {
        // The icons close the list only so that no family is ever empty.
        let there = order.iter().filter(|name| fonts.font_data.contains_key(**name));
        let there = there.map(|&name| name.to_owned()).collect();
        fonts.families.insert(family, there);
    }
    ctx.set_fonts(fonts);
}
