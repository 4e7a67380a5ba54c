//! No bytes make the checker panic, or hang.

use crate::files::Files;
use proptest::prelude::*;
use veobatch_producer::check;

/// Pieces of prompt files: almost right, so that a mix of them goes deep.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    ",",
    "\n",
    "\r\n",
    "- ",
    "  ",
    "\t",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<",
    "!x ",
    "|\n",
    ">-\n",
    "#",
    "---\n",
    "...\n",
    "null",
    "1e999",
    ".nan",
    "0x1F",
    "prompt",
    "\"prompt\"",
    "jobs",
    "defaults",
    "batch",
    "images",
    "extra",
    "id",
    "\"a cat\"",
    "ä",
    "\u{feff}",
    "\\ud800",
    "\\u0000",
    "\0",
    "?",
    "%YAML 1.2\n",
    "12345",
    "true",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_checked_to_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let files = Files::new();
        for name in ["a.yaml", "a.json", "a.jsonl", "a"] {
            let _ = check(&[files.write(name, &bytes)]);
        }
    }

    #[test]
    fn any_mix_of_pieces_is_checked_to_an_answer(pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.into_iter().map(|n| PIECES[n]).collect();
        let files = Files::new();
        for name in ["a.yaml", "a.json", "a.jsonl", "a"] {
            if let Err(problems) = check(&[files.write(name, &text)]) {
                prop_assert!(!problems.is_empty() && !problems.to_string().is_empty());
            }
        }
    }

    #[test]
    fn any_cut_of_a_good_file_is_checked_to_an_answer(cut in 0..140_usize, byte in any::<u8>()) {
        let good = b"batch: x\ndefaults: &d {model: veo3, extra: {a: [1, 2]}}\njobs:\n  - id: a\n    prompt: >\n      text\n  - {<<: *d, prompt: \"\xc3\xa4\"}\n".as_slice();
        let mut bytes = good.to_vec();
        let at = cut % bytes.len();
        bytes[at] = byte;
        let files = Files::new();
        let _ = check(&[files.write("a.yaml", &bytes)]);
        let _ = check(&[files.write("a.yaml", &good[..at])]);
    }
}
