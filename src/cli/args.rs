//! The command line as clap reads it. Nothing is opened or looked up here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::device::DeviceRequest;

/// Look through your photos with words.
#[derive(Debug, Parser)]
#[command(name = "glimpse", version, about, after_help = EXAMPLES, subcommand_precedence_over_arg = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Open the window and index this folder
    pub folder: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  glimpse                                open the window
  glimpse index ~/Pictures               index a folder and all below it
  glimpse search \"a dog on the beach\"    find photos by a sentence
  glimpse search 海边的狗 --top 5 --json
  glimpse demo --no-window               try it on the bundled samples";

/// Options that stand before or after the command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The library file [default: in the platform's data folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub library: Option<PathBuf>,
    /// A pack: its id or a folder (may be given twice, once for each family) [default: the library's]
    #[arg(long, global = true, value_name = "PACK")]
    pub model: Vec<String>,
    /// Where models run: auto, cpu, wgpu, cuda or metal
    #[arg(long, global = true, value_name = "DEVICE", default_value_t = DeviceRequest::Auto)]
    pub device: DeviceRequest,
    /// Print JSON lines instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on stderr (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say only errors on stderr, and show no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Index folders: new and changed photos are taken in, moved ones recognised
    #[command(after_help = "Examples:\n  glimpse index ~/Pictures /media/photos\n  glimpse index ~/Pictures --json")]
    Index(IndexArgs),
    /// Find photos by a sentence, in English or Chinese
    #[command(
        after_help = "Examples:\n  glimpse search \"children playing in the snow\"\n  glimpse search 一只猫 --top 5\n  glimpse search --queries queries.txt --json"
    )]
    Search(SearchArgs),
    /// Find photos that look like a picture
    #[command(after_help = "Examples:\n  glimpse similar ~/Pictures/dog.jpg --top 10\n  glimpse similar -- -rf.jpg")]
    Similar(SimilarArgs),
    /// Describe pictures in a sentence
    #[command(
        after_help = "Examples:\n  glimpse caption a.jpg b.jpg\n  glimpse caption --all --missing --lang zh\n  glimpse caption a.jpg --model oscar-caption --regions features.tsv"
    )]
    Caption(CaptionArgs),
    /// Answer questions about a picture
    #[command(
        after_help = "Examples:\n  glimpse ask a.jpg \"what is the dog doing\"\n  glimpse ask --questions questions.jsonl --json"
    )]
    Ask(AskArgs),
    /// Say how well a text describes a picture
    #[command(
        after_help = "Examples:\n  glimpse match a.jpg \"a dog on a beach\"\n  glimpse match --pairs pairs.jsonl --json"
    )]
    Match(MatchArgs),
    /// Take captions out: text files, a table, JSON lines or XMP sidecars
    #[command(
        after_help = "Examples:\n  glimpse export --format txt --out ~/captions\n  glimpse export --format xmp --beside --accepted --dry-run\n  glimpse export --format csv --out captions.csv --bom --lang zh\n  glimpse export --format jsonl --out dogs.jsonl --query caption:dog"
    )]
    Export(ExportArgs),
    /// Print the vector of a text or an image
    #[command(
        after_help = "Examples:\n  glimpse embed text \"a red car\" --json\n  glimpse embed image a.jpg b.jpg --json"
    )]
    Embed {
        #[command(subcommand)]
        what: Embed,
    },
    /// Show what the library holds
    Status,
    /// List or remove the folders of the library
    #[command(after_help = "Examples:\n  glimpse folders list\n  glimpse folders remove ~/Pictures/old")]
    Folders {
        #[command(subcommand)]
        what: Folders,
    },
    /// List and manage model packs
    #[command(
        after_help = "Examples:\n  glimpse models list\n  glimpse models use lite-align\n  glimpse models verify lite-align"
    )]
    Models {
        #[command(subcommand)]
        what: Models,
    },
    /// Measure a model on a dataset
    #[command(
        after_help = "Examples:\n  glimpse eval retrieval val.jsonl --lang zh --json\n  glimpse eval vqa questions.jsonl --blind --json"
    )]
    Eval {
        #[command(subcommand)]
        what: Eval,
    },
    /// Show devices, paths, versions and self-tests
    Doctor,
    /// Index the bundled samples in a temporary library and search them
    Demo {
        /// Print only; do not open the window
        #[arg(long)]
        no_window: bool,
    },
    /// Compare a model with the outputs of a reference implementation
    #[command(hide = true)]
    GoldenCheck {
        /// A folder with a model, its inputs and its reference outputs
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Folders to index
    #[arg(required = true, value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
    /// Also enter recycle bins, @eaDir and other folders of programs
    #[arg(long)]
    pub include_service_folders: bool,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What the photos should show
    #[arg(required_unless_present = "queries", conflicts_with = "queries")]
    pub text: Option<String>,
    /// A file with one query a line
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,
    /// Let the Fuse model judge the best K and order them anew
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rerank: Option<u32>,
    #[command(flatten)]
    pub features: Features,
    #[command(flatten)]
    pub top: Top,
}

#[derive(Debug, Args)]
pub struct SimilarArgs {
    /// A picture, in the library or not
    pub image: PathBuf,
    #[command(flatten)]
    pub top: Top,
}

#[derive(Debug, Args)]
pub struct CaptionArgs {
    /// Pictures, in the library or not
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Every photo of the library; the captions are kept as drafts
    #[arg(long)]
    pub all: bool,
    /// Only photos that have no caption in that language
    #[arg(long, requires = "all", conflicts_with = "images")]
    pub missing: bool,
    /// Which language: en or zh
    #[arg(long, default_value = "en", value_parser = ["en", "zh"])]
    pub lang: String,
    /// How many sentences to weigh against each other
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub beam: u32,
    /// Keep the captions as drafts
    #[arg(long)]
    pub save: bool,
    #[command(flatten)]
    pub features: Features,
}

#[derive(Debug, Args)]
pub struct AskArgs {
    /// A picture, in the library or not
    #[arg(required_unless_present = "questions", conflicts_with = "questions")]
    pub image: Option<PathBuf>,
    /// What to ask
    #[arg(required_unless_present = "questions", conflicts_with = "questions")]
    pub question: Option<String>,
    /// A file of JSON lines: {"image": …, "question": …}
    #[arg(long, value_name = "FILE")]
    pub questions: Option<PathBuf>,
    /// How many answers
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    #[command(flatten)]
    pub features: Features,
}

#[derive(Debug, Args)]
pub struct MatchArgs {
    /// A picture, in the library or not
    #[arg(required_unless_present = "pairs", conflicts_with = "pairs")]
    pub image: Option<PathBuf>,
    /// What it may show
    #[arg(required_unless_present = "pairs", conflicts_with = "pairs")]
    pub text: Option<String>,
    /// A file of JSON lines: {"image": …, "text": …}
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,
    #[command(flatten)]
    pub features: Features,
}

/// What models that do not look at photos themselves look at.
#[derive(Debug, Args)]
pub struct Features {
    /// Region features for OSCAR, VinVL, UNITER and VLP: a .tsv, an .npz or a folder of them
    #[arg(long, value_name = "FILE")]
    pub regions: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What kind of files
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// A file for csv and jsonl, a folder for txt and xmp
    #[arg(
        long,
        value_name = "FILE or FOLDER",
        required_unless_present = "beside",
        required_if_eq_any = [("format", "csv"), ("format", "jsonl")]
    )]
    pub out: Option<PathBuf>,
    /// Put txt and xmp files next to the photos
    #[arg(long, conflicts_with = "out")]
    pub beside: bool,
    /// Only the photos that `search` finds for this (`caption:word`: all whose caption holds it)
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    /// Only accepted captions, no drafts
    #[arg(long)]
    pub accepted: bool,
    /// Only captions in this language: en, zh, ...
    #[arg(long, value_name = "L")]
    pub lang: Option<String>,
    /// What new sidecars are called: photo.xmp (stem) or photo.jpg.xmp (full)
    #[arg(long, value_enum, value_name = "stem|full")]
    pub xmp_name: Option<SidecarName>,
    /// Mark a csv file as UTF-8, for Excel
    #[arg(long)]
    pub bom: bool,
    /// Also tell where the photos were taken
    #[arg(long)]
    pub gps: bool,
    /// List what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Txt,
    Csv,
    Jsonl,
    Xmp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SidecarName {
    Stem,
    Full,
}

#[derive(Debug, Args)]
pub struct Top {
    /// How many photos
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
}

#[derive(Debug, Subcommand)]
pub enum Embed {
    /// Vectors of texts
    Text {
        #[arg(required = true)]
        texts: Vec<String>,
    },
    /// Vectors of images
    Image {
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Folders {
    /// One line a folder
    List,
    /// Forget a folder's photos; the files on disk are not touched
    Remove { folder: PathBuf },
}

#[derive(Debug, Subcommand)]
pub enum Models {
    /// One line a pack
    List,
    /// Fetch a pack by its id
    Pull { id: String },
    /// Check a model folder and keep it as a pack
    Import { folder: PathBuf },
    /// Make a pack the library's active one of its family
    Use { id: String },
    /// Check a pack's files
    Verify { id: String },
    /// Remove a pack of yours
    Remove { id: String },
}

#[derive(Debug, Subcommand)]
pub enum Eval {
    /// Text-to-image and image-to-text retrieval over `image` and `en` or `zh` of each line
    Retrieval {
        #[command(flatten)]
        captioned: Captioned,
    },
    /// BLEU and CIDEr of captions for `image`, against `en` or `zh` of each line
    Caption(EvalCaption),
    /// Answers to `question` about `image`, against `answer`; by `kind` where lines have it
    Vqa(EvalVqa),
    /// Match scores of true pairs against false ones, over `image` and `en` or `zh` of each line
    Match(EvalMatch),
}

/// A dataset of pictures with captions.
#[derive(Debug, Args)]
pub struct Captioned {
    /// JSON lines; images are relative to the file's folder
    pub dataset: PathBuf,
    /// Which captions: en or zh
    #[arg(long, default_value = "en", value_parser = ["en", "zh"])]
    pub lang: String,
}

#[derive(Debug, Args)]
pub struct EvalCaption {
    #[command(flatten)]
    pub captioned: Captioned,
    /// How many sentences to weigh against each other
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub beam: u32,
    #[command(flatten)]
    pub features: Features,
}

#[derive(Debug, Args)]
pub struct EvalVqa {
    /// JSON lines; images are relative to the file's folder
    pub dataset: PathBuf,
    /// Only lines whose `lang` is this one or that have none: en or zh [default: all]
    #[arg(long, value_parser = ["en", "zh"])]
    pub lang: Option<String>,
    /// Also answer without the picture: the same model with its features zeroed
    #[arg(long)]
    pub blind: bool,
    #[command(flatten)]
    pub features: Features,
}

#[derive(Debug, Args)]
pub struct EvalMatch {
    #[command(flatten)]
    pub captioned: Captioned,
    /// How many texts, drawn with the seed, are put beside true and false pictures
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub texts: u32,
    /// What decides which pairs are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Also order the best K pictures of the Align model anew for each text
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rerank: Option<u32>,
    #[command(flatten)]
    pub features: Features,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"glimpse").chain(args))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for args in [["--json", "search", "cat"], ["search", "--json", "cat"], ["search", "cat", "--json"]] {
            let cli = parse(&args).unwrap();
            assert!(cli.global.json, "{args:?}");
            assert!(matches!(cli.command, Some(Command::Search(s)) if s.text.as_deref() == Some("cat")));
        }
        let cli = parse(&["--library", "a.db", "status", "--device", "cpu"]).unwrap();
        assert_eq!(cli.global.library, Some("a.db".into()));
        assert_eq!(cli.global.device, DeviceRequest::Cpu);
    }

    #[test]
    fn no_command_or_a_folder_is_the_window() {
        let cli = parse(&[]).unwrap();
        assert!(cli.command.is_none() && cli.folder.is_none());
        let cli = parse(&["/photos"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.folder, Some("/photos".into()));
    }

    #[test]
    fn wrong_usage_is_refused() {
        for args in [
            &["search"][..],
            &["search", "a", "--queries", "b"],
            &["search", "a", "--top", "0"],
            &["index"],
            &["--device", "gpu", "status"],
            &["embed", "text"],
            &["-q", "-v", "status"],
            &["eval", "retrieval", "x", "--lang", "fr"],
            &["eval", "caption"],
            &["eval", "caption", "x", "--beam", "0"],
            &["eval", "match", "x", "--texts", "0"],
            &["caption"],
            &["caption", "a.jpg", "--all"],
            &["caption", "a.jpg", "--missing"],
            &["caption", "a.jpg", "--beam", "0"],
            &["caption", "a.jpg", "--lang", "fr"],
            &["ask", "a.jpg"],
            &["ask", "a.jpg", "what", "--questions", "q"],
            &["match", "a.jpg"],
            &["match", "a.jpg", "--pairs", "p"],
            &["export", "--format", "txt"],
            &["export", "--format", "png", "--beside"],
            &["export", "--format", "txt", "--beside", "--out", "x"],
            &["export", "--format", "csv", "--beside"],
        ] {
            assert_eq!(parse(args).map(|_| ()).map_err(|e| e.exit_code()), Err(2), "{args:?}");
        }
    }

    #[test]
    fn a_name_that_starts_with_a_dash_follows_two() {
        let cli = parse(&["similar", "--", "-rf.jpg"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Similar(s)) if s.image.as_os_str() == "-rf.jpg"));
    }
}
