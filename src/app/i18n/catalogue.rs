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
    DeviceCpuOnly: "The models of this version run on the processor.", "此版本的模型在处理器上运行。";
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
