//! A picture of each dashboard, drawn from the answers to its queries by a page of our own in headless Chromium. It shows
//! what a dashboard says, and not how Grafana would look.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The page, which has one place for the data.
const PAGE: &str = include_str!("page.html");
/// As the page has it: a row of the grid, what is above the first, and 24 columns.
const UNIT: u64 = 26;
const TOP: u64 = 40;
const WIDTH: u64 = 24 * 58 + 8;
/// A picture in a README is to be small.
const LARGEST: usize = 200_000;

/// Draws a dashboard's panels into a PNG file; `data` is what the page's script reads.
pub fn draw(data: &Value, picture: &Path) {
    let place = tempfile::tempdir().expect("a directory");
    let page = place.path().join("page.html");
    // Within a script element nothing but its end has a meaning.
    fs::write(&page, PAGE.replacen("DATA", &data.to_string().replace("</", "<\\/"), 1)).expect("a file");
    let bottom = |panel: &Value| panel["gridPos"]["y"].as_u64().zip(panel["gridPos"]["h"].as_u64());
    let panels = data["panels"].as_array().expect("panels");
    let rows = panels.iter().filter_map(bottom).map(|(y, h)| y + h).max().expect("a panel");
    let height = TOP + rows * UNIT + 4;
    let chromium = |what: &str| {
        let said = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .args(["--no-first-run", "--disable-background-networking", "--force-device-scale-factor=1"])
            .arg(format!("--user-data-dir={}", place.path().join("profile").display()))
            .arg(format!("--window-size={WIDTH},{height}"))
            .arg(what)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap_or_else(|error| panic!("this test needs Chromium (apt-get install chromium): {error}"));
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    let document = chromium("--dump-dom");
    for panel in panels {
        let place = format!("data-panel=\"{}\"", panel["id"]);
        let drawn = document.split('<').find(|element| element.contains(&place));
        let marks =
            drawn.and_then(|element| element.split("data-marks=\"").nth(1)?.split('"').next()?.parse().ok());
        assert!(
            marks.is_some_and(|marks: u64| marks > 0),
            "{}: {} is not drawn",
            data["title"],
            panel["title"]
        );
    }
    chromium(&format!("--screenshot={}", picture.display()));
    let png = fs::read(picture).unwrap_or_else(|error| panic!("{}: {error}", picture.display()));
    let side =
        |at: usize| png.get(at..at + 4).map(|bytes| u32::from_be_bytes(bytes.try_into().expect("four")));
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{} is no PNG", picture.display());
    assert_eq!((side(16).map(u64::from), side(20).map(u64::from)), (Some(WIDTH), Some(height)));
    assert!(png.len() < LARGEST, "{} has {} bytes", picture.display(), png.len());
}
