//! Documents as what can be run of them: sections with fenced blocks of transcripts and of files.

/// What is between two headings of the second level.
#[derive(Debug)]
pub(super) struct Section {
    document: String,
    title: String,
    pub(super) blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    document: String,
    /// The line of its first fence, from 1.
    line: usize,
    pub(super) language: String,
    /// The file that it is.
    pub(super) file: Option<String>,
    text: String,
}

/// Something that is typed in a transcript, and what comes back.
#[derive(Debug)]
pub(super) struct Command<'a> {
    place: String,
    pub(super) text: String,
    expected: Vec<&'a str>,
}

/// The sections of a document; what stands before the first heading is one, too.
pub(super) fn sections(document: &str, text: &str) -> Vec<Section> {
    let mut sections = vec![Section::new(document, "")];
    let mut open: Option<Block> = None;
    let mut above = "";
    for (line, number) in text.lines().zip(1..) {
        let section = sections.last_mut().expect("there is one from the start");
        match (&mut open, line.strip_prefix("```")) {
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (Some(_), Some(_)) => {
                section.blocks.extend(open.take());
                above = "";
            }
            (None, Some(language)) => {
                let (document, language) = (document.to_owned(), language.to_owned());
                let file = file_name(above).map(str::to_owned);
                open = Some(Block { document, line: number, language, file, text: String::new() });
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    sections.push(Section::new(document, title));
                }
                if !line.trim().is_empty() {
                    above = line;
                }
            }
        }
    }
    assert!(open.is_none(), "{document}: a fence is open at the end");
    sections
}

/// The name in backticks at the end of a line, before a colon.
fn file_name(line: &str) -> Option<&str> {
    line.strip_suffix("`:")?.rsplit('`').next()
}

impl Section {
    fn new(document: &str, title: &str) -> Self {
        Self { document: document.to_owned(), title: title.to_owned(), blocks: Vec::new() }
    }

    pub(super) fn place(&self) -> String {
        format!("{}, `{}`", self.document, self.title)
    }

    pub(super) fn commands(&self) -> impl Iterator<Item = Command<'_>> {
        self.blocks.iter().filter(|block| block.language == "console").flat_map(Block::commands)
    }

    /// Names and texts.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.blocks.iter().filter_map(|block| Some((block.file.as_deref()?, block.text.as_str())))
    }
}

impl Block {
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    fn commands(&self) -> Vec<Command<'_>> {
        let mut commands: Vec<Command<'_>> = Vec::new();
        for (line, number) in self.text.lines().zip(self.line + 1..) {
            let place = format!("{}:{number}", self.document);
            if let Some(text) = line.strip_prefix("$ ") {
                commands.push(Command { place, text: text.to_owned(), expected: Vec::new() });
                continue;
            }
            let Some(command) = commands.last_mut() else {
                panic!("{place}: a transcript starts with a command: `$ …`");
            };
            match line.strip_prefix("> ").filter(|_| command.expected.is_empty()) {
                Some(text) => command.text.extend(["\n", text]),
                None => command.expected.push(line),
            }
        }
        commands
    }

    /// The lines that are typed, each with its place.
    pub(super) fn typed(&self) -> Vec<(String, &str)> {
        let place = |number: usize| format!("{}:{}", self.document, self.line + 1 + number);
        let lines = self.text.lines().enumerate();
        match self.language.as_str() {
            "sh" => lines.map(|(number, line)| (place(number), line.trim())).collect(),
            "console" => {
                lines.filter_map(|(number, line)| Some((place(number), line.strip_prefix("$ ")?))).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Command<'_> {
    /// What differs, if anything does.
    pub(super) fn difference(&self, found: &str) -> Option<String> {
        let lines: Vec<_> = found.lines().collect();
        let is_same = lines.len() == self.expected.len()
            && self.expected.iter().zip(&lines).all(|(expected, found)| matches(expected, found));
        (!is_same).then(|| {
            let Self { place, text, expected } = self;
            format!("{place}: $ {text}\n--- shown\n{}\n--- found\n{found}", expected.join("\n"))
        })
    }
}

/// Whether a line is as it is shown, where `…` is anything.
fn matches(shown: &str, found: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn dots_stand_for_anything_in_a_line() {
    assert!(matches("took … ms, … items", "took 7.5 ms, 3 items"));
    assert!(matches("…", ""));
    assert!(matches("same", "same"));
    assert!(!matches("took … ms", "took 7.5 s"));
    assert!(!matches("same", "same again"));
    assert!(!matches("aa…aa", "aaa"));
}

#[test]
fn a_document_is_taken_apart_into_sections_files_and_commands() {
    let document = "\
text
## One
The file `a.txt`:

```toml
x = 1
```

```console
$ cat \\
> a.txt
x = 1
$ true
```
## Two
";
    let sections = sections("D.md", document);
    let titles: Vec<_> = sections.iter().map(|section| section.title.as_str()).collect();
    assert_eq!(titles, ["", "One", "Two"]);
    assert_eq!(sections[1].files().collect::<Vec<_>>(), [("a.txt", "x = 1\n")]);
    let commands: Vec<_> = sections[1].commands().collect();
    assert_eq!(
        (commands[0].text.as_str(), commands[0].expected.as_slice()),
        ("cat \\\na.txt", &["x = 1"][..])
    );
    assert_eq!((commands[1].text.as_str(), commands[1].place.as_str()), ("true", "D.md:13"));
    let difference = commands[1].difference("oh\n").expect("nothing is shown");
    assert_eq!(difference, "D.md:13: $ true\n--- shown\n\n--- found\noh\n");
}
