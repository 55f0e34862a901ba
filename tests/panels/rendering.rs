//! A picture of each dashboard, drawn from the answers to its queries by a page of our own in headless Chromium. It shows
//! what a dashboard says, and not how Grafana would look.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
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
    let size = shrink(picture, (WIDTH, height));
    assert!(size < LARGEST, "{} has {size} bytes", picture.display());
}

/// Writes a picture anew with a palette of its commonest colours, which takes a third of the bytes, and tells how many.
fn shrink(picture: &Path, (width, height): (u64, u64)) -> usize {
    let place = picture.display();
    let file = BufReader::new(File::open(picture).unwrap_or_else(|error| panic!("{place}: {error}")));
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::ALPHA | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().unwrap_or_else(|error| panic!("{place} is no PNG: {error}"));
    let mut pixels = vec![0; reader.output_buffer_size().expect("it fits into memory")];
    let frame = reader.next_frame(&mut pixels).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!((u64::from(frame.width), u64::from(frame.height)), (width, height), "{place}");
    let colours = || pixels.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]);
    let mut count: HashMap<[u8; 3], usize> = HashMap::new();
    colours().for_each(|colour| *count.entry(colour).or_default() += 1);
    let mut palette: Vec<[u8; 3]> = count.keys().copied().collect();
    palette.sort_unstable_by_key(|colour| (usize::MAX - count[colour], *colour));
    palette.truncate(256);
    // The others are the edges of letters and lines: each becomes the nearest of the common ones.
    let nearest = |colour: &[u8; 3]| {
        let far = |other: &[u8; 3]| -> u32 {
            colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
        };
        (0u8..=255).zip(&palette).min_by_key(|(_, other)| far(other)).map_or(0, |(number, _)| number)
    };
    let places: HashMap<[u8; 3], u8> = count.keys().map(|colour| (*colour, nearest(colour))).collect();
    let indices: Vec<u8> = colours().map(|colour| places[&colour]).collect();
    assert!(palette.len() > 8, "{place} is of {} colours: nothing is drawn", palette.len());
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, frame.width, frame.height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette.concat());
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().expect("a vector takes it");
    writer.write_image_data(&indices).expect("a pixel each");
    writer.finish().expect("a vector takes it");
    fs::write(picture, &bytes).expect("a file");
    bytes.len()
}
