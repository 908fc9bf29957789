//! Sidecars as other programs write them.

use super::*;
use crate::domain::LatLon;
use crate::media::xmp::read;

fn words(captions: &[(&str, &str)]) -> Words {
    let own = |&(lang, text): &(&str, &str)| (lang.to_owned(), text.to_owned());
    Words { captions: captions.iter().map(own).collect(), ..Words::default() }
}

fn merged(existing: Option<&str>, words: &Words) -> String {
    String::from_utf8(merge(existing.map(str::as_bytes), words, true).unwrap().bytes).unwrap()
}

fn captions(sidecar: &str) -> Vec<(String, String)> {
    read(sidecar.as_bytes()).unwrap().captions
}

fn pairs(captions: &[(String, String)]) -> Vec<(&str, &str)> {
    captions.iter().map(|(lang, text)| (lang.as_str(), text.as_str())).collect()
}

/// `new` is `old` with something put in at one place.
fn is_inserted(old: &str, new: &str) -> bool {
    let common = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    (0..=common).any(|at| new.as_bytes().ends_with(&old.as_bytes()[at..]))
}

const FOREIGN: &str = "\u{FEFF}<?xpacket begin='\u{FEFF}' id='W5M0MpCehiHzreSzNTczkc9d'?>\r
<x:xmpmeta xmlns:x='adobe:ns:meta/'>\r
<!-- months of edits -->\r
 <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\r
  <rdf:Description rdf:about='' xmlns:odd='http://example.org/odd/' odd:a=\"1 &lt; 2\"\r
    xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='5'>\r
   <odd:history><rdf:Seq><rdf:li><![CDATA[<x>]]></rdf:li><rdf:li odd:k='v'/></rdf:Seq></odd:history>\r
  </rdf:Description>\r
 </rdf:RDF>\r
</x:xmpmeta>\r
<?xpacket end='w'?>";

const GERMAN: &str = r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
  <dc:description>
   <rdf:Alt>
    <rdf:li xml:lang="x-default">somebody's own</rdf:li>
    <rdf:li xml:lang="de">ein Hund</rdf:li>
    <rdf:li xml:lang="fr">un chien</rdf:li>
   </rdf:Alt>
  </dc:description>
  <dc:subject><rdf:Bag><rdf:li>dog</rdf:li></rdf:Bag></dc:subject>
 </rdf:Description>
</rdf:RDF></x:xmpmeta>"#;

#[test]
fn a_new_sidecar_says_it_in_each_language() {
    let long = "长".repeat(3000);
    for text in ["a dog", "狗 🐕‍🦺 \"'<&>]]>", "two\nlines", long.as_str()] {
        let mut wanted = words(&[("en", text), ("zh", "一只狗")]);
        wanted.tags = vec!["sea & sand".into(), "海".into()];
        let sidecar = merged(None, &wanted);
        let said = read(sidecar.as_bytes()).unwrap();
        assert_eq!(pairs(&said.captions), [("x-default", text), ("en", text), ("zh-CN", "一只狗")]);
        assert_eq!(said.tags, wanted.tags);
        assert_eq!(merged(Some(&sidecar), &wanted), sidecar, "again changes no byte");
    }
}

#[test]
fn all_else_stays_byte_for_byte() {
    let sidecar = merged(Some(FOREIGN), &words(&[("en", "a dog")]));
    assert!(is_inserted(FOREIGN, &sidecar), "{sidecar}");
    assert_eq!(pairs(&captions(&sidecar)), [("x-default", "a dog"), ("en", "a dog")]);
    assert_eq!(merged(Some(&sidecar), &words(&[("en", "a dog")])), sidecar);
    // As darktable and others write it: all in attributes.
    let closed = r#"<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5" />
 </rdf:RDF>
</x:xmpmeta>"#;
    let sidecar = merged(Some(closed), &words(&[("en", "a dog")]));
    assert!(
        sidecar.contains(r#"xmp:Rating="5" >"#) && sidecar.contains("</rdf:Description>\n </rdf:RDF>"),
        "{sidecar}"
    );
    assert_eq!(captions(&sidecar).len(), 2);
    for bare in [
        "<RDF xmlns='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/>",
        "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\n</r:RDF>",
    ] {
        assert_eq!(captions(&merged(Some(bare), &words(&[("en", "a dog")]))).len(), 2, "{bare}");
    }
}

#[test]
fn other_languages_stay_and_there_is_one_default() {
    let (english, chinese) = (words(&[("en", "a dog")]), words(&[("zh", "一只狗")]));
    let first = merged(Some(GERMAN), &english);
    let expected = [("x-default", "a dog"), ("de", "ein Hund"), ("fr", "un chien"), ("en", "a dog")];
    assert_eq!(pairs(&captions(&first)), expected);
    let second = merged(Some(&first), &chinese);
    assert_eq!(pairs(&captions(&second))[..4], expected);
    assert_eq!(pairs(&captions(&second))[4], ("zh-CN", "一只狗"));
    assert_eq!(merged(Some(&second), &english), second);
    // The default follows the language that it repeats.
    let edited = merged(Some(&second), &words(&[("en", "two dogs")]));
    assert_eq!(pairs(&captions(&edited))[0], ("x-default", "two dogs"));
    assert_eq!(pairs(&captions(&edited))[4], ("zh-CN", "一只狗"));

    let unordered = GERMAN.replace("x-default", "it").replace("\"fr\"", "\"x-default\"");
    let said = captions(&merged(Some(&unordered), &english));
    assert_eq!(pairs(&said), [("x-default", "a dog"), ("it", "somebody's own"), ("de", "ein Hund"), ("en", "a dog")]);
}

#[test]
fn a_draft_takes_no_ones_place() {
    let draft = merge(Some(GERMAN.as_bytes()), &words(&[("de", "eine Katze")]), false).unwrap();
    assert_eq!(draft.bytes, GERMAN.as_bytes());
    assert_eq!(draft.kept, ["ein Hund", "somebody's own"]);
    let beside = merge(Some(GERMAN.as_bytes()), &words(&[("en", "a dog")]), false).unwrap();
    let said = read(&beside.bytes).unwrap().captions;
    assert_eq!(pairs(&said)[0], ("x-default", "somebody's own"));
    assert_eq!(pairs(&said)[3], ("en", "a dog"));
    let accepted = merge(Some(GERMAN.as_bytes()), &words(&[("de", "eine Katze")]), true).unwrap();
    assert_eq!(accepted.replaced, ["ein Hund", "somebody's own"]);
}

#[test]
fn tags_are_added_and_none_taken() {
    let tagged = Words { tags: vec!["sea".into(), "dog".into()], ..Words::default() };
    let sidecar = merged(Some(GERMAN), &tagged);
    assert!(is_inserted(GERMAN, &sidecar));
    assert_eq!(read(sidecar.as_bytes()).unwrap().tags, ["dog", "sea"]);
}

#[test]
fn plain_text_and_empty_lists_are_made_lists() {
    for inner in ["<d:description>old</d:description>", "<d:description/>", "<d:description><rdf:Alt/></d:description>"]
    {
        let sidecar = format!(
            "<rdf:RDF xmlns:rdf='{RDF}' xmlns:d='{DC}'><rdf:Description>{inner}<d:title>t</d:title></rdf:Description></rdf:RDF>"
        );
        let sidecar = merged(Some(&sidecar), &words(&[("en", "a dog")]));
        assert_eq!(captions(&sidecar).len(), 2, "{sidecar}");
        assert!(sidecar.contains("<d:title>t</d:title>"));
    }
}

#[test]
fn the_place_is_written_where_there_is_none() {
    let placed = Words { place: Some(LatLon { latitude: -48.147_053, longitude: 0.999_999_999 }), ..Words::default() };
    let sidecar = merged(None, &placed);
    assert!(sidecar.contains(">48,8.823180S<") && sidecar.contains(">1,0.000000E<"), "{sidecar}");
    assert_eq!(
        merged(Some(&sidecar), &Words { place: Some(LatLon { latitude: 1.0, longitude: 1.0 }), ..Words::default() }),
        sidecar
    );
}

#[test]
fn what_xml_cannot_hold_is_left_out_and_counted() {
    let odd = merge(None, &words(&[("en", "a\u{0}b\u{B}c\u{FFFE}d\r\ne")]), true).unwrap();
    assert_eq!(odd.left_out, 3);
    assert_eq!(read(&odd.bytes).unwrap().captions[0].1, "abcd\ne");
}

#[test]
fn what_is_no_sidecar_is_refused() {
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    for (bytes, expected) in [
        (&b""[..], "NotXmp"),
        (b"\xFF\xFE<\0", "NotUtf8"),
        (b"<?xml version='1.0' encoding='gbk'?><a/>", "NotUtf8"),
        (b"<html/>", "NotXmp"),
        (b"just text", "Malformed"),
        (b"<a><b></a>", "Malformed"),
        (b"<a>", "Malformed"),
        (b"<x:a/>", "Malformed"),
        (b"<a/><b/>", "Malformed"),
        (deep.as_bytes(), "Malformed"),
        (b"<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description xmlns:d='http://purl.org/dc/elements/1.1/' d:description='x'/></r:RDF>", "Unusual"),
    ] {
        let error = merge(Some(bytes), &words(&[("en", "x")]), true).unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
    }
}
