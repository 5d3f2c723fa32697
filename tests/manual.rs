//! `wasmpool completions` and `wasmpool man`: what the help knows, for shells and for the manual.

use crate::harness::{bash, wasmpool};
use crate::help::{commands, flags};

fn print(line: &str) -> String {
    wasmpool(line).stdout_is(|_| true).check().stdout
}

#[test]
fn bash_takes_the_completions() {
    bash("bash -n <(wasmpool completions bash)").check();
}

#[test]
fn bash_completes_a_flag() {
    let script = "source <(wasmpool completions bash)\n\
        COMP_WORDS=(wasmpool run --ran) COMP_CWORD=2\n\
        _wasmpool wasmpool --ran run\n\
        echo \"${COMPREPLY[@]}\"";
    bash(script).stdout("--range\n").check();
}

#[test]
fn every_shell_gets_every_command_and_flag() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = print(&format!("completions {shell}"));
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
            for flag in flags(&command) {
                assert!(script.contains(flag.trim_start_matches('-')), "{shell}: {command} {flag}");
            }
        }
        assert!(!script.contains("__worker"), "{shell}");
    }
}

#[test]
fn the_page_of_a_command_has_all_its_flags() {
    for command in commands() {
        let page = print(&format!("man {command}")).replace("\\-", "-");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"] {
            assert!(page.contains(&format!("\n.SH {section}\n")), "{command}: {section}");
        }
        for flag in flags(&command) {
            let (_, options) = page.split_once("\n.SH OPTIONS\n").expect("it was just seen");
            let at = options.find(&flag).unwrap_or_else(|| panic!("{command}: {flag}"));
            // A flag's own line, then what it means.
            let meaning = options[at..].lines().nth(1).unwrap_or_default();
            assert!(meaning.starts_with(char::is_alphabetic), "{command}: {flag}: {meaning:?}");
        }
    }
}

#[test]
fn the_page_of_wasmpool_lists_the_commands_and_examples() {
    let page = print("man").replace("\\-", "-");
    for command in commands() {
        assert!(page.contains(&format!("\nwasmpool-{command}(1)\n")), "{command}");
    }
    assert!(page.contains("\n.SH EXAMPLES\n  wasmpool run "), "{page}");
    assert!(!page.contains("__worker"));
}

#[test]
fn a_formatter_takes_every_page() {
    let script = "for tool in 'mandoc -T lint -W error' 'groff -man -Tutf8 -ww'; do\n\
        command -v ${tool%% *} > /dev/null || continue\n\
        for page in '' run bench; do wasmpool man $page | $tool > log 2>&1 || cat log; done\n\
        done";
    bash(script).check();
}

#[test]
fn a_page_about_nothing_is_refused() {
    wasmpool("man runn")
        .stderr_is(|stderr| stderr.starts_with("error: there is no command `runn`\n"))
        .code(2)
        .check();
}
