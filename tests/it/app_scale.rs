//! U6: many thousands of thumbnails, scrolled through while more are indexed.

use egui::Key;
use egui_kittest::kittest::Queryable as _;
use glimpse::domain::PhotoId;
use glimpse::engine::Event;

use super::support::{ScriptedLink, Setup, pass, settle, window};

#[test]
fn twenty_thousand_photos_to_the_end_and_back_while_more_come() {
    let link = ScriptedLink::with_photos(20_000);
    let mut w = window(&link, Setup::default());
    settle(&mut w);
    let mut known = 20_000;
    let mut most = 0;
    for page in 0..300 {
        w.key_press(Key::PageDown);
        w.step();
        if page % 50 == 10 {
            known += 1000;
            link.script(|script| script.photos.extend((known - 999..=known).map(PhotoId)));
            link.push(Event::PhotosChanged);
        }
        most = most.max(w.state().runtime().thumbs.bytes());
    }
    let lead = w.state().runtime().selection.lead().unwrap();
    // More photos came meanwhile: the place is kept.
    pass(&mut w, 2.0);
    assert_eq!(w.state().runtime().selection.lead(), Some(lead));
    assert!(w.state().runtime().grid.offset > 10_000.0);
    w.key_press(Key::End);
    settle(&mut w);
    assert_eq!(w.state().runtime().selection.lead(), Some(PhotoId(26_000)));
    assert_eq!(w.get_all_by_label("IMG_26000.jpg").count(), 2, "in the grid and in the inspector");
    w.key_press(Key::Home);
    settle(&mut w);

    // The first ones are back, with pictures, and nothing has piled up.
    let runtime = w.state().runtime();
    assert_eq!(runtime.ids().len(), 26_000);
    let first = runtime.thumbs.get(PhotoId(1)).unwrap();
    assert!(first.texture().is_some());
    assert!(most <= 200 << 20, "{most} bytes of textures");
    let textures = w.ctx.tex_manager().read().num_allocated();
    assert!(textures < 1000, "{textures} textures");
    assert!(runtime.thumbs.textures() <= textures);
}
