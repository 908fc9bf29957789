//! The icons that the window uses: code points of the Phosphor font (MIT), of which
//! `assets/icons/phosphor-subset.ttf` holds just these.

pub const MAGNIFYING_GLASS: &str = "\u{E30C}";
pub const X: &str = "\u{E4F6}";
pub const FOLDER: &str = "\u{E24A}";
pub const FOLDER_PLUS: &str = "\u{E258}";
pub const IMAGES: &str = "\u{E836}";
pub const WARNING: &str = "\u{E4E0}";
pub const WARNING_CIRCLE: &str = "\u{E4E2}";
pub const PLUS: &str = "\u{E3D4}";
pub const PAUSE: &str = "\u{E39E}";
pub const PLAY: &str = "\u{E3D0}";
pub const CHECK_CIRCLE: &str = "\u{E184}";
pub const INFO: &str = "\u{E2CE}";
pub const ARROW_LEFT: &str = "\u{E058}";
pub const CARET_DOWN: &str = "\u{E136}";
pub const CARET_RIGHT: &str = "\u{E13A}";
pub const CARET_LEFT: &str = "\u{E138}";
pub const SIDEBAR_SIMPLE: &str = "\u{EC24}";
pub const DOTS_THREE: &str = "\u{E1FE}";
pub const CUBE: &str = "\u{E1DA}";
pub const CPU: &str = "\u{E610}";
pub const SPARKLE: &str = "\u{E6A2}";
pub const TRASH: &str = "\u{E4A6}";
pub const ARROW_CLOCKWISE: &str = "\u{E036}";
pub const CHECK: &str = "\u{E182}";
pub const HARD_DRIVE: &str = "\u{E29E}";
pub const IMAGE: &str = "\u{E2CA}";
pub const IMAGE_BROKEN: &str = "\u{E7A8}";
pub const FRAME_CORNERS: &str = "\u{E626}";
pub const COPY: &str = "\u{E1CA}";
pub const ARROW_SQUARE_OUT: &str = "\u{E5DE}";
pub const LINK_BREAK: &str = "\u{E2E4}";
pub const LOCK_SIMPLE: &str = "\u{E308}";
pub const SQUARES_FOUR: &str = "\u{E464}";
pub const MINUS: &str = "\u{E32A}";
