//! Checksums: those of files that are here, and those that providers publish.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use md5::Md5;
use sha2::{Digest, Sha256};

/// How a provider sums its files up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, which tells accidents and nothing else: it comes from the same server as the file, over the same TLS.
    Md5,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// How many hexadecimal digits a sum has.
    const fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
        }
    }

    /// The sum of a file, in small hexadecimal digits.
    pub(super) fn of_file(self, path: &Path) -> io::Result<String> {
        match self {
            Self::Md5 => digest::<Md5>(path),
            Self::Sha256 => digest::<Sha256>(path),
        }
    }

    /// The sum in what a provider publishes: `sum  file` as of coreutils, `MD5 (file) = sum` as of BSD, or JSON. It is the
    /// first word of as many hexadecimal digits.
    pub(super) fn find_in(self, text: &str) -> Option<String> {
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let is_sum = |word: &&str| {
            word.len() == self.digits() && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        words.find(is_sum).map(str::to_ascii_lowercase)
    }
}

fn digest<D: Digest>(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = D::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        digest.update(buffer.get(..count).unwrap_or_default());
    }
    let sum = digest.finalize();
    let digits = sum.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn files_are_summed_up_as_everybody_does() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(Algorithm::Md5.of_file(file.path()).unwrap(), MD5);
        assert_eq!(Algorithm::Sha256.of_file(file.path()).unwrap(), SHA256);
    }

    #[test]
    fn a_sum_is_found_however_it_is_published() {
        for text in [
            format!("{SHA256}  GeoLite2-Country_20260707.tar.gz\n"),
            SHA256.to_uppercase(),
            format!("SHA256 (file) = {SHA256}\n"),
            format!(r#"{{"checksums": {{"md5": "{MD5}", "sha256": "{SHA256}"}}}}"#),
        ] {
            let found = Algorithm::Sha256.find_in(&text);
            assert_eq!(found.as_deref(), Some(SHA256), "{text}");
        }
        let bsd = format!("MD5 (delegated-apnic-extended-20260707) = {MD5}\n");
        assert_eq!(Algorithm::Md5.find_in(&bsd).as_deref(), Some(MD5));
        for text in ["", "<html>Not found</html>", SHA256] {
            assert_eq!(Algorithm::Md5.find_in(text), None, "{text}");
        }
    }
}
