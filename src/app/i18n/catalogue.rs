//! The catalogue: one line a text, English and 简体中文 side by side. `{gaps}` are filled by name.

use super::Lang;

macro_rules! catalogue {
    ($($name:ident: $en:literal, $zh:literal;)+) => {
        /// A text of the window.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Msg { $($name),+ }

        impl Msg {
            /// Every text.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The text in a language, its gaps open.
            pub(super) fn text(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Self::$name, Lang::En) => $en, (Self::$name, Lang::Zh) => $zh,)+
                }
            }
        }
    };
}

catalogue! {
    AppName: "Glimpse", "Glimpse";

    // Top bar
    SearchHint: "What do you remember?", "还记得什么？";
    SearchTip: "Describe a photo. caption:word finds photos whose caption holds a word.", "描述一张照片。输入 caption:词语 可查找说明中含有该词的照片。";
    SearchHintIn: "What do you remember from {name}?", "还记得“{name}”里的什么？";
    SearchField: "Search photos", "搜索照片";
    ClearSearch: "Clear the search", "清除搜索";
    LikePhoto: "Like {name}", "类似 {name}";
    ModelMenu: "Search model", "搜索模型";
    ModelNone: "No model", "没有模型";
    GoodAtBuiltIn: "Everyday photos, in English and Chinese; small, quick, always at hand.", "日常照片，支持英文和中文；小巧、快速、随时可用。";
    ModelInUse: "In use", "使用中";
    ModelPhotos: "{n} indexed", "已索引 {n} 张";
    MainMenu: "Menu", "菜单";

    // Rail
    AllPhotos: "All photos", "全部照片";
    Folders: "Folders", "文件夹";
    NeedsAttention: "Needs attention", "需要处理";
    FailedFiles: "Unreadable", "无法读取";
    WithoutCaption: "No caption", "没有说明";
    MissingPhotos: "Missing", "丢失";
    AddFolder: "Add folder…", "添加文件夹…";
    FolderOffline: "Not connected", "未连接";
    FolderIndexing: "Indexing", "正在索引";
    FolderFailedCount: "{n} unreadable", "{n} 个无法读取";
    FolderMenu: "More for {name}", "{name} 的更多操作";
    RescanFolder: "Look for changes", "检查变更";
    RemoveFolder: "Remove folder…", "移除文件夹…";
    RemoveFolderTitle: "Remove “{name}” from Glimpse?", "要从 Glimpse 移除“{name}”吗？";
    RemoveFolderBody: "{photos} will no longer be found. The files on your disk stay as they are, and captions that you wrote are kept.", "将不再找到其中的 {photos}。磁盘上的文件不会改动，你写的说明会保留。";
    RemoveFolderConfirm: "Remove folder", "移除文件夹";
    Keep: "Keep it", "保留";

    // Grid
    Grid: "Photos", "照片";
    LessLikely: "Less likely below", "以下可能性较小";
    NothingLikely: "Nothing here looks like “{query}”. The closest photos are below.", "没有照片看起来像“{query}”。下面是最接近的照片。";
    NothingLikelyPicture: "Nothing here looks like that picture. The closest photos are below.", "没有照片看起来像那张图片。下面是最接近的照片。";
    NothingFound: "No photos found", "没有找到照片";
    NothingFoundBody: "Glimpse looked through everything that is indexed.", "Glimpse 已查看所有已索引的照片。";
    EmptyFolder: "No photos here yet", "这里还没有照片";
    EmptyFolderBody: "Photos show up here as soon as they are indexed.", "照片索引后会立即显示在这里。";
    NoMissing: "Every photo is where it was", "所有照片都在原处";
    NoMissingBody: "Photos that have moved away or are on a drive that is not connected are listed here.", "被移走或位于未连接硬盘上的照片会列在这里。";
    LoadingPhotos: "Looking…", "正在查找…";
    MatchVeryGood: "Very good match", "非常匹配";
    MatchGood: "Good match", "匹配";
    MatchLess: "Less likely", "可能性较小";
    ExactScore: "Cosine {score}", "余弦相似度 {score}";
    ThumbnailUnavailable: "No preview", "无预览";
    ResultOne: "{n} result", "{n} 个结果";
    ResultMany: "{n} results", "{n} 个结果";
    OnlyInFolder: "Only {name} was searched.", "仅搜索了“{name}”。";
    SearchAll: "Search all photos", "搜索全部照片";
    NothingFoundIn: "Glimpse looked through what is indexed of {name}.", "Glimpse 已查看“{name}”中所有已索引的照片。";
    ThumbnailSize: "Thumbnail size", "缩略图大小";

    // First start
    WelcomeTitle: "Find photos by describing them", "用一句话找到照片";
    WelcomeBody: "Point Glimpse at your photos, then type what you remember. Everything stays on this computer.", "选择照片所在的文件夹，然后输入你记得的内容。所有数据都留在这台电脑上。";
    WelcomeDrop: "or drop a folder anywhere in this window", "或将文件夹拖到此窗口的任意位置";
    TrySamples: "Try the sample photos", "试用示例照片";
    DropHere: "Drop a folder to add it, or a picture to search by it", "放下文件夹即可添加，放下图片即可以图搜图";

    // Inspector
    Inspector: "Details", "详细信息";
    SelectAPhoto: "Select a photo to see more about it", "选择一张照片查看详细信息";
    SelectedMany: "{n} photos selected", "已选择 {n} 张照片";
    Open: "Open", "打开";
    ShowInFolder: "Show in folder", "在文件夹中显示";
    CopyPath: "Copy path", "复制路径";
    CopyPaths: "Copy paths", "复制路径";
    CopyPicture: "Copy picture", "复制图片";
    FindSimilar: "Find similar", "查找相似照片";
    HowWell: "How well it matches", "匹配程度";
    InfoFile: "File", "文件";
    InfoFolder: "Folder", "文件夹";
    InfoSize: "Size", "大小";
    InfoTaken: "Taken", "拍摄时间";
    InfoCamera: "Camera", "相机";
    InfoPlace: "Place", "地点";
    InfoCaption: "Caption", "说明";
    InfoReason: "Reason", "原因";
    StateMissing: "This photo is not where it was. It comes back when its drive does.", "照片不在原处。重新连接硬盘后会恢复。";
    NotRecorded: "Not recorded", "未记录";
    DetailsFailed: "Nothing is known about this photo", "没有此照片的信息";

    // Tabs beside a photo
    TabInfo: "Info", "信息";
    TabCaption: "Caption", "说明";
    TabAsk: "Ask", "提问";
    TabMatch: "Match", "匹配";

    // Captions of a photo
    CaptionsTitle: "Captions", "说明";
    NoCaptionYet: "This photo has no caption yet.", "这张照片还没有说明。";
    OwnWords: "Your own caption", "自己写说明";
    OwnWordsHint: "Write a caption yourself…", "自己写一条说明…";
    CaptionField: "Caption text", "说明文字";
    SaveCaption: "Save", "保存";
    Discard: "Discard", "放弃";
    Accept: "Accept", "采用";
    KeepDraft: "Keep as draft", "存为草稿";
    EditCaption: "Edit caption", "编辑说明";
    RemoveCaption: "Remove caption", "移除说明";
    SuggestTitle: "Suggestions", "建议";
    Suggest: "Suggest captions", "生成说明";
    SuggestAgain: "Suggest again", "重新生成";
    StopWriting: "Stop", "停止";
    LookingAtPhoto: "Looking at the photo…", "正在查看照片…";
    NothingSuggested: "The model found no words for this photo.", "模型没有给出说明。";
    TurnDown: "Turn these down", "都不采用";
    Confident: "Confident", "把握较大";
    HalfSure: "Fairly sure", "较有把握";
    Guess: "A guess", "猜测";
    ConfidenceTip: "How much of it is likely right, told from how sure the model is of its words and how near the photo is to them", "根据模型对词语的把握及照片与文字的接近程度，估计其中正确的比例";
    BrokenOff: "Broken off before its end", "未写完";
    HowTitle: "How words are chosen", "选词方式";
    HowBeam: "Weigh several", "权衡多句";
    HowBeamTip: "Writes several sentences side by side and keeps the best (beam search).", "同时写出多句，保留最好的（束搜索）。";
    HowGreedy: "Likeliest words", "最可能的词";
    HowGreedyTip: "Takes the likeliest word each time: quick, and always the same (greedy).", "每次取最可能的词：快速，结果固定（贪心）。";
    HowSampling: "More varied", "更多变化";
    HowSamplingTip: "Draws words by their probability; the same seed writes the same again (sampling).", "按概率抽取词语；相同的种子得到相同的结果（采样）。";
    Sentences: "Sentences", "句数";
    Seed: "Seed", "种子";
    SeedTip: "The same number draws the same sentences", "相同的数字得到相同的句子";
    OriginPerson: "You", "你";
    OriginFile: "From {name}", "来自 {name}";
    OriginAccepted: "Accepted", "已采用";
    OriginDraft: "Draft", "草稿";
    OriginModelExactly: "Model {pack}, version {version}", "模型 {pack}，版本 {version}";
    WhenNow: "just now", "刚刚";
    WhenMinutes: "{n} min ago", "{n} 分钟前";
    WhenHours: "{n} h ago", "{n} 小时前";
    CaptionOne: "{n} caption", "{n} 条说明";
    CaptionMany: "{n} captions", "{n} 条说明";

    // What was done to captions, to be undone
    ActDrafted: "suggested captions", "生成说明";
    ActWrote: "written captions", "撰写说明";
    ActEdited: "edited captions", "编辑说明";
    ActJudged: "accepted captions", "采用说明";
    ActRemoved: "removed captions", "移除说明";
    ActReworded: "captions changed together", "批量修改说明";
    ActTookIn: "captions read from files", "从文件读入的说明";
    NewsUndone: "Undone: {what} ({captions})", "已撤销：{what}（{captions}）";
    NewsRedone: "Done again: {what} ({captions})", "已重做：{what}（{captions}）";
    NewsNothingToUndo: "There is nothing to undo.", "没有可撤销的操作。";
    NewsNothingToRedo: "There is nothing to redo.", "没有可重做的操作。";
    NewsReworded: "{captions} changed", "已更改 {captions}";
    NewsNoDialog: "The system's folder dialog does not answer. Type the path into the field instead.", "系统的文件夹对话框没有响应。请在输入框中输入路径。";

    // Questions about a photo
    AskField: "Question about this photo", "关于这张照片的问题";
    AskHint: "Ask about this photo…", "询问这张照片…";
    AskSend: "Ask this question", "提问";
    AskFirst: "You could ask", "可以这样问";
    AskWhat: "What is in this photo?", "照片里有什么？";
    AskColour: "What color is it?", "它是什么颜色的？";
    AskMany: "How many people are there?", "有几个人？";
    AskWhere: "Where was this taken?", "这是在哪里拍的？";
    AskDoing: "What are they doing?", "他们在做什么？";
    Thinking: "Looking for an answer…", "正在寻找答案…";
    Unsure: "The model is not sure. Its likeliest answers:", "模型不确定。最可能的答案：";
    AnswerTip: "How likely this answer is, by the model", "模型认为此答案的可能性";
    RemoveQuestion: "Remove this question", "移除此问题";
    RefusedNoWords: "This is no question: it has no words.", "这里没有文字，无法提问。";
    RefusedLanguages: "The model reads {languages} only.", "模型只懂{languages}。";
    LanguageEnglish: "English", "英文";
    LanguageChinese: "Chinese", "中文";
    ListAnd: "{a} and {b}", "{a}和{b}";

    // A sentence and a photo
    MatchField: "Sentence to compare", "要比较的句子";
    MatchHint: "A sentence, for example: two dogs on a beach", "一句话，例如：海边有两只狗";
    MatchCompare: "How well does it match?", "匹配程度如何？";
    MatchNot: "Does not match", "不匹配";
    AlignFinds: "Align, which finds", "Align：负责查找";
    FuseJudges: "Fuse, which judges", "Fuse：负责判断";
    Closeness: "Closeness", "接近程度";
    CosineTip: "Cosine between sentence and photo. It is there to order photos, so compare it with that of other photos.", "句子与照片的余弦相似度。它用于给照片排序，请与其他照片比较。";
    MatchShareTip: "How likely the sentence describes this photo", "这句话描述这张照片的可能性";
    AlignIsFor: "Align compares a sentence with all your photos in milliseconds: use it to find.", "Align 在几毫秒内将一句话与所有照片比较：用于查找。";
    FuseIsFor: "Fuse reads sentence and photo together, one pair at a time. It is slower but understands details: use it to judge.", "Fuse 逐对同时阅读句子和照片，较慢但能理解细节：用于判断。";

    // Where no model can do it
    NoModelCaption: "There is no model at hand that writes captions. You can write them yourself.", "没有可用于撰写说明的模型。你可以自己撰写。";
    NoModelAsk: "There is no model at hand that answers questions. Search still finds photos by what you describe.", "没有可用于回答问题的模型。仍可用描述来搜索照片。";
    NoModelMatch: "There is no model at hand that judges sentences. Align still says how close they are.", "没有可用于判断句子的模型。Align 仍可给出接近程度。";
    CannotCaption: "{name} cannot write captions.", "{name} 不能撰写说明。";
    CannotAsk: "{name} cannot answer questions.", "{name} 不能回答问题。";
    CannotMatch: "{name} cannot judge sentences.", "{name} 不能判断句子。";
    SeesFeatures: "{name} looks at features that its authors' detector computed, not at photos. The built-in model looks at photos.", "{name} 只能查看检测器预先计算的特征，不能查看照片。内置模型可以查看照片。";

    // Judging what a search found
    Rerank: "Re-rank", "重排";
    RerankOn: "Re-rank {n}", "重排 {n}";
    RerankOff: "Do not re-rank", "不重排";
    RerankBest: "Re-rank the best {n}", "重排前 {n} 张";
    RerankTip: "Have the best photos of a search judged and put in order anew", "对搜索到的最佳照片重新判断并排序";
    RerankBody: "Align finds photos quickly; Fuse then judges the best of them one by one. More judged photos take longer.", "Align 快速找到照片，Fuse 再逐一判断其中最好的。判断得越多，用时越长。";
    Judging: "judging…", "正在判断…";
    JudgingTip: "The order that was found stays until the best photos are judged", "判断完成前保持原有顺序";
    JudgeCost: "{pairs} judged in {time}", "在 {time} 内判断了 {pairs}";
    JudgeCostDetail: "{known} were known from before, {unseen} photos could not be looked at", "其中 {known} 对此前已知，{unseen} 张照片无法查看";
    JudgeFailed: "not judged", "未判断";
    JudgedScore: "Judged {share}", "判断 {share}";
    PairOne: "{n} pair", "{n} 对";
    PairMany: "{n} pairs", "{n} 对";

    // Many photos
    AllCaptioned: "Every photo has a caption", "所有照片都有说明";
    AllCaptionedBody: "Photos without a caption are listed here.", "没有说明的照片会列在这里。";
    AmongSelected: "Selected photos", "所选照片";
    AmongFound: "What the search found", "搜索结果";
    AmongShown: "What is shown: {name}", "当前显示：{name}";
    AmongWithoutCaption: "All without a caption", "所有没有说明的照片";
    BatchTitle: "Caption photos", "批量生成说明";
    BatchBody: "The model writes a draft for each photo. What you wrote or accepted stays, and the whole run can be undone at once.", "模型为每张照片写一条草稿。你撰写或采用的说明保持不变，整批操作可一次撤销。";
    BatchLanguage: "Language and way of writing", "语言与写法";
    BatchMissingOnly: "Only photos without a caption in this language", "仅限没有该语言说明的照片";
    BatchStart: "Caption {photos}", "为 {photos}生成说明";
    BatchWritten: "Captions written", "已写说明";
    BatchFailed: "{n} failed", "{n} 张失败";
    JobCaptioning: "Captioning {photos}", "正在为 {photos}生成说明";
    JobCaptioned: "Captions are written", "说明已写好";
    JobCaptionCancelled: "Stopped captioning. What was written so far is kept.", "已停止生成说明。已写的内容会保留。";
    JobCaptionFailed: "Captioning could not go on", "无法继续生成说明";
    JobExporting: "Exporting captions", "正在导出说明";
    JobExported: "Captions are exported", "说明已导出";
    JobExportCancelled: "Stopped exporting. Files that were written are whole.", "已停止导出。已写的文件是完整的。";
    JobExportFailed: "The export could not go on", "无法继续导出";
    JobLooking: "Looking at what would be exported", "正在检查将要导出的内容";
    JobLooked: "Looked at what would be exported", "已检查将要导出的内容";

    // Changing many captions
    RewordTitle: "Change captions", "批量修改说明";
    RewordReplace: "Find and replace", "查找并替换";
    RewordBefore: "Put before", "加在前面";
    RewordBehind: "Put behind", "加在后面";
    RewordFind: "Find", "查找";
    RewordWith: "Replace with", "替换为";
    RewordPrefix: "Text to put before each caption", "加在每条说明前的文字";
    RewordSuffix: "Text to put behind each caption", "加在每条说明后的文字";
    RewordCase: "Match capital letters", "区分大小写";
    RewordNothingTyped: "Type a text to see what would change.", "输入文字即可查看会有哪些更改。";
    RewordWould: "{n} of {total} captions would change", "{total} 条说明中有 {n} 条会更改";
    RewordApply: "Change captions ({n})", "更改说明（{n}）";
    AndMore: "and {n} more", "还有 {n} 项";

    // Export
    ExportTitle: "Export captions", "导出说明";
    ExportChoose: "Choose a folder for the exported files", "选择导出文件夹";
    ExportWhich: "Photos", "照片";
    ExportFormat: "Format", "格式";
    FormatTxt: "Text", "文本";
    FormatTxtTip: "One text file a photo, as caption-training tools expect", "每张照片一个文本文件，供训练工具使用";
    FormatCsv: "Table", "表格";
    FormatCsvTip: "One table for spreadsheets (CSV), a row for each photo", "一个表格文件（CSV），每张照片一行";
    FormatJsonl: "JSON lines", "JSON 行";
    FormatJsonlTip: "One file with everything known about each photo, for programs", "一个文件，含每张照片的全部信息，供程序使用";
    FormatXmp: "Sidecars", "附属文件";
    FormatXmpTip: "XMP files that Lightroom, darktable and digiKam read; what is in them already stays", "XMP 文件，可由 Lightroom、darktable 和 digiKam 读取；原有内容保留";
    ExportPlace: "Where", "位置";
    ExportInFolder: "Into a folder", "到文件夹";
    ExportBeside: "Beside the photos", "照片旁边";
    ExportBesideTip: "Files go next to each photo. The photos themselves are never changed.", "文件写在每张照片旁边，不会改动照片本身。";
    ExportFolder: "Folder for the files", "目标文件夹";
    ExportFolderHint: "Type or choose a folder", "输入或选择文件夹";
    ExportBrowse: "Choose…", "选择…";
    ExportIntoFile: "Goes into {file}", "写入 {file}";
    ExportCaptions: "Captions", "说明";
    ExportAnyLanguage: "Any language", "任意语言";
    ExportAcceptedOnly: "Accepted captions only, no drafts", "仅已采用的说明，不含草稿";
    ExportXmpFull: "Name them photo.jpg.xmp instead of photo.xmp", "命名为 photo.jpg.xmp 而不是 photo.xmp";
    ExportBom: "Mark as UTF-8 for Excel", "为 Excel 添加 UTF-8 标记";
    ExportGps: "Include where photos were taken", "包含拍摄地点";
    ExportLook: "See what would be written", "查看将写入的内容";
    ExportWrite: "Write captions of {photos}", "写入 {photos}的说明";
    ExportNeedsFolder: "Name a folder first.", "请先指定文件夹。";
    ExportLooking: "Looking at what would be written…", "正在检查…";
    ExportWriting: "Writing…", "正在写入…";
    ExportWould: "Captions of {photos} would be written. Nothing has been changed yet.", "将写入 {photos}的说明。尚未更改任何内容。";
    ExportDone: "Captions of {photos} are written.", "已写入 {photos}的说明。";
    ExportPartly: "{n} done, {failed} could not be written.", "完成 {n} 项，{failed} 项无法写入。";
    ExportCancelled: "Stopped after {photos}.", "在 {photos}后停止。";
    ExportSkipped: "{photos} left out.", "略过 {photos}。";
    FileCreated: "new", "新建";
    FileChanged: "changed", "更改";
    FileUnchanged: "already says so", "无需更改";
    FileFailed: "could not be written", "无法写入";
    FileNote: "note", "注意";
    SkipNoCaption: "no caption", "没有说明";
    SkipForeignFile: "holds other words that Glimpse did not write; move it away to write it anew", "含有并非 Glimpse 写入的文字；移走后可重新写入";
    SkipForeignWords: "holds other words; accept the caption to put it in their place", "含有其他文字；采用说明后可替换";

    // Viewer
    ViewerBack: "Back to the photos", "返回照片列表";
    NextPhoto: "Next photo", "下一张";
    PreviousPhoto: "Previous photo", "上一张";
    ZoomIn: "Zoom in", "放大";
    ZoomOut: "Zoom out", "缩小";
    ZoomFit: "Fit to the window", "适合窗口";
    PositionOf: "{n} of {total}", "{n} / {total}";
    PictureUnavailable: "This photo cannot be shown", "无法显示此照片";

    // Status bar
    Indexing: "Indexing {name}", "正在索引 {name}";
    CountOf: "{done} of {total}", "{done} / {total}";
    PerSecond: "{n}/s", "{n}/s";
    LeftMoments: "a moment left", "即将完成";
    LeftSeconds: "{n} s left", "还剩 {n} 秒";
    LeftMinutes: "{n} min left", "还剩 {n} 分钟";
    LeftHours: "{n} h left", "还剩 {n} 小时";
    Counting: "counting…", "正在统计…";
    Paused: "Paused: {name}", "已暂停：{name}";
    Pause: "Pause", "暂停";
    Resume: "Go on", "继续";
    Cancel: "Cancel", "取消";
    JobCaption: "captions for {photos}", "{photos}的说明";
    JobExport: "the export", "导出";
    JobExportPreview: "what would be exported", "将要导出的内容";
    JobDone: "Up to date: {name}", "已是最新：{name}";
    JobCancelled: "Stopped indexing {name}. What was read so far is kept.", "已停止索引 {name}。已读取的内容会保留。";
    JobFailed: "Indexing {name} could not go on", "无法继续索引 {name}";
    SearchCost: "{photos} searched in {time}", "在 {time} 内搜索了 {photos}";
    SearchCostDetail: "Understanding the question took {encode}, comparing took {scan}", "理解问题用时 {encode}，比较用时 {scan}";
    DeviceRunsOn: "Runs on {device}", "运行于 {device}";
    DeviceNoAdapter: "The models run on the processor: no graphics card with a driver was found.", "模型在处理器上运行：未找到带驱动程序的显卡。";
    DeviceOnlySoftware: "The models run on the processor: the only graphics adapter, {name}, is itself a program on the processor.", "模型在处理器上运行：唯一的图形适配器 {name} 本身就是处理器上的程序。";
    DeviceGaveUp: "The models run on the processor, not on {name}: {reason}", "模型在处理器上运行，未使用 {name}：{reason}";
    ReadOnly: "Read only", "只读";
    ReadOnlyBody: "Another program is writing to this library, or its disk is read only. Searching works; nothing can be added.", "另一个程序正在写入此图库，或磁盘为只读。可以搜索，但不能添加内容。";
    FolderMany: "{n} folders", "{n} 个文件夹";
    PhotoOne: "{n} photo", "{n} 张照片";
    PhotoMany: "{n} photos", "{n} 张照片";

    // Failed files
    FailedTitle: "Files that could not be read", "无法读取的文件";
    FailedBody: "They are left out of searches and tried again when they change. Nothing was altered.", "搜索时会略过它们，文件变更后会重试。没有改动任何内容。";
    FailedNone: "Every file could be read", "所有文件都可以读取";
    TryAgain: "Try again", "重试";
    TryAllAgain: "Try all again", "全部重试";
    SkippedUnreadable: "Could not be opened or read", "无法打开或读取";
    SkippedEmpty: "The file is empty", "文件为空";
    SkippedDamaged: "Cut off or damaged", "文件不完整或已损坏";
    SkippedUnsupported: "Not a picture of a kind that Glimpse reads", "不是 Glimpse 支持的图片格式";
    SkippedTooLarge: "Too large to read safely", "过大，无法安全读取";
    SkippedNotFinite: "The model could not make sense of it", "模型无法处理";
    SkippedChanging: "Changed while it was read", "读取时文件发生变化";

    // Failures
    FailureEmptyQuery: "Type a word or a sentence to search for.", "请输入要搜索的词语或句子。";
    FailureEmptyLibrary: "There are no photos to search yet. Add a folder first.", "还没有可搜索的照片。请先添加文件夹。";
    FailureNotIndexed: "Your photos have not been looked at with this model yet. Index them once, then search.", "照片尚未用此模型处理。请先索引一次，然后再搜索。";
    FailureModel: "The search model could not be loaded, so photos can be browsed but not searched.\n{path}", "无法加载搜索模型，因此只能浏览照片，不能搜索。\n{path}";
    FailureNoFuseModel: "There is no model at hand that describes photos or answers questions.", "没有可用于描述照片或回答问题的模型。";
    FailureUnable: "The model cannot do this.", "此模型无法完成这项操作。";
    FailureExport: "The captions could not be exported.\n{path}", "无法导出说明。\n{path}";
    FailureLibrary: "The library could not be used.\n{path}", "无法使用图库。\n{path}";
    FailureLibraryNewer: "This library was written by a newer version of Glimpse. Update Glimpse to open it.\n{path}", "此图库由更新版本的 Glimpse 写入。请更新 Glimpse 后再打开。\n{path}";
    FailureLibraryLocked: "Another program is using this library. Close it, then try again.\n{path}", "另一个程序正在使用此图库。请关闭它后重试。\n{path}";
    FailureLibraryDamaged: "This library is damaged; it was left as it is. Put a backup in its place, or move it away and index again.\n{path}", "此图库已损坏，文件保持原样。请用备份替换，或移走后重新索引。\n{path}";
    FailureNotALibrary: "This file is not a Glimpse library; it was left as it is. Choose another file.\n{path}", "此文件不是 Glimpse 图库，文件保持原样。请选择其他文件。\n{path}";
    FailureLibraryReplaced: "The library was deleted or replaced while it was open. Open it again to go on.\n{path}", "图库在打开期间被删除或替换。请重新打开以继续。\n{path}";
    FailureLibraryReadOnly: "This library can be read but not written. You can search; nothing can be added.\n{path}", "此图库只能读取，不能写入。可以搜索，但不能添加内容。\n{path}";
    FailureLibraryCannotLock: "Files cannot be locked where this library lies. Keep it on a disk of this computer.\n{path}", "此图库所在的位置无法锁定文件。请将它放在本机磁盘上。\n{path}";
    FailureDiskFull: "There is no room left on the disk. Free some space; Glimpse then goes on by itself.\n{path}", "磁盘空间已满。请释放一些空间，Glimpse 会自动继续。\n{path}";
    FailureFolder: "This folder is not there or cannot be read. Its photos are kept and come back with it.\n{path}", "此文件夹不存在或无法读取。其中的照片会保留，文件夹恢复后会重新出现。\n{path}";
    FailureFolderEmptied: "Everything in this folder vanished at once. Is its drive connected? Nothing was removed.\n{path}", "此文件夹中的内容突然全部消失。硬盘是否已连接？没有移除任何内容。\n{path}";
    FailurePhoto: "This photo cannot be shown.\n{path}", "无法显示此照片。\n{path}";
    FailureQueryPicture: "This picture cannot be searched by. {reason}.\n{path}", "无法用这张图片搜索。{reason}。\n{path}";
    FailureSystem: "The system could not do this.\n{path}", "系统无法执行此操作。\n{path}";
    Opening: "Opening your library…", "正在打开图库…";
    OpeningBody: "This takes a moment longer while another program uses it.", "如果另一个程序正在使用图库，会稍慢一些。";
    OpenAgain: "Open again", "重新打开";
    StartFailedTitle: "Glimpse could not open your library", "Glimpse 无法打开图库";
    UseBuiltInModel: "Use the built-in model", "使用内置模型";
    IndexNow: "Index now", "立即索引";
    Details: "Details", "详情";
    HideDetails: "Hide details", "隐藏详情";
    CopyDetails: "Copy details", "复制详情";
    Dismiss: "Dismiss", "关闭";

    // News
    NewsCopied: "Copied", "已复制";

    // Adding a folder by hand
    PathTitle: "Add a folder", "添加文件夹";
    PathPictureTitle: "Search by a picture", "以图搜图";
    PathNoDialog: "This system offers no folder dialog, so type the path here, or drop the folder into the window.", "此系统没有文件夹对话框，请在此输入路径，或将文件夹拖入窗口。";
    PathStillOpen: "The system's dialog has not answered yet. You can also type the path here, or drop the folder into the window.", "系统对话框尚未响应。你也可以在此输入路径，或将文件夹拖入窗口。";
    PathField: "Path", "路径";
    PathAdd: "Add", "添加";
    PathSearch: "Search", "搜索";
    ChooseFolder: "Choose a folder with photos", "选择包含照片的文件夹";
    ChoosePicture: "Choose a picture to search by", "选择用于搜索的图片";

    // Settings
    Settings: "Settings", "设置";
    SettingsTheme: "Theme", "主题";
    ThemeSystem: "As the system", "跟随系统";
    ThemeLight: "Light", "浅色";
    ThemeDark: "Dark", "深色";
    SettingsLanguage: "Language", "语言";
    LanguageSystem: "As the system", "跟随系统";
    SettingsMotion: "Reduce motion", "减少动态效果";
    SettingsServiceFolders: "Also index recycle bins and thumbnail folders", "同时索引回收站和缩略图文件夹";
    SettingsNextStart: "Takes effect at the next start", "下次启动时生效";
    SettingsDevice: "Computing", "计算";
    SettingsLibrary: "Library", "图库";
    Close: "Close", "关闭";

    // Help and palette
    HelpTitle: "Keyboard and mouse", "键盘与鼠标";
    HelpMouse: "Drag across the photos to select several. Ctrl-click adds one, shift-click a range. Drop a picture anywhere to search by it.", "在照片上拖动可选择多张。按住 Ctrl 点击可加选，按住 Shift 点击可选择一段。将图片拖到窗口任意位置即可以图搜图。";
    PaletteTitle: "All commands", "所有命令";
    PaletteHint: "Type a command", "输入命令";
    PaletteNone: "No command is called that", "没有这个命令";

    // Commands (label, then what it does)
    CmdSearch: "Search", "搜索";
    CmdSearchTip: "Put the cursor into the search field", "将光标移到搜索框";
    CmdBack: "Back", "返回";
    CmdBackTip: "Close what is open, else clear the selection or the search", "关闭当前视图，否则清除选择或搜索";
    CmdViewTip: "Show the selected photo large", "放大显示所选照片";
    CmdView: "View large", "大图查看";
    CmdOpenTip: "Open the photo in the system's own viewer", "用系统的看图程序打开照片";
    CmdOpen: "Open in another program", "用其他程序打开";
    CmdInfo: "Info", "信息";
    CmdInfoTip: "What is known of the selected photo", "所选照片的信息";
    CmdCaption: "Caption", "说明";
    CmdCaptionTip: "Captions of the selected photo: write, suggest, accept", "所选照片的说明：撰写、生成、采用";
    CmdAsk: "Ask", "提问";
    CmdAskTip: "Ask a question about the selected photo", "就所选照片提问";
    CmdMatch: "Match", "匹配";
    CmdMatchTip: "See how well a sentence matches the selected photo", "查看一句话与所选照片的匹配程度";
    CmdCaptionMany: "Caption photos…", "批量生成说明…";
    CmdCaptionManyTip: "Write captions for a selection, a folder, a search result or all photos", "为所选照片、文件夹、搜索结果或全部照片生成说明";
    CmdReword: "Change captions…", "批量修改说明…";
    CmdRewordTip: "Find and replace in many captions, or put words before or behind", "在多条说明中查找替换，或在前后添加文字";
    CmdExport: "Export captions…", "导出说明…";
    CmdExportTip: "Write captions into text files, tables or sidecars", "将说明写入文本、表格或附属文件";
    CmdUndo: "Undo", "撤销";
    CmdUndoTip: "Take back the last change to captions", "撤销对说明的上一次更改";
    CmdRedo: "Redo", "重做";
    CmdRedoTip: "Do again what was taken back", "重做撤销的更改";
    CmdRerank: "Re-rank or not", "重排或不重排";
    CmdRerankTip: "Have the best photos of a search judged one by one", "逐一判断搜索到的最佳照片";
    CmdSelectAll: "Select all", "全选";
    CmdSelectAllTip: "Select every photo of the list", "选择列表中的所有照片";
    CmdAddFolderTip: "Choose a folder whose photos should be found", "选择一个文件夹，索引其中的照片";
    CmdSearchByPicture: "Search by a picture…", "以图搜图…";
    CmdSearchByPictureTip: "Find photos that look like a picture file", "查找与某个图片文件相似的照片";
    CmdRescan: "Look for changes", "检查变更";
    CmdRescanTip: "Look at every folder again for new, changed and moved photos", "重新检查所有文件夹中新增、变更和移动的照片";
    CmdBigger: "Larger thumbnails", "放大缩略图";
    CmdBiggerTip: "Show fewer, larger photos", "显示更少、更大的照片";
    CmdSmaller: "Smaller thumbnails", "缩小缩略图";
    CmdSmallerTip: "Show more, smaller photos", "显示更多、更小的照片";
    CmdSettingsTip: "Theme, language and more", "主题、语言等";
    CmdHelp: "Keyboard and mouse", "键盘与鼠标";
    CmdHelpTip: "Every key and what it does", "所有快捷键及其作用";
    CmdPalette: "All commands…", "所有命令…";
    CmdPaletteTip: "Find a command by its name", "按名称查找命令";
    CmdRail: "Show or hide the folders", "显示或隐藏文件夹";
    CmdRailTip: "The list of folders on the left", "左侧的文件夹列表";
    CmdInspector: "Show or hide the details", "显示或隐藏详细信息";
    CmdInspectorTip: "The details of the selected photo on the right", "右侧所选照片的详细信息";
    CmdFindSimilarTip: "Find photos that look like the selected one", "查找与所选照片相似的照片";
    CmdShowInFolderTip: "Show the file in the system's file manager", "在系统的文件管理器中显示";
    CmdCopyPictureTip: "Copy the picture, at most 2,048 pixels a side", "复制图片，边长最多 2,048 像素";
    CmdCopyPathTip: "Copy where the file is", "复制文件的位置";
    CmdThemeToggle: "Switch between light and dark", "切换浅色与深色";
    CmdThemeToggleTip: "Change the theme", "更改主题";
    CmdPauseTip: "Pause or go on with indexing", "暂停或继续索引";
    CmdPause: "Pause or resume indexing", "暂停或继续索引";
    CmdCancelTip: "Stop indexing; what was read so far is kept", "停止索引；已读取的内容会保留";
    CmdCancel: "Stop indexing", "停止索引";
}
