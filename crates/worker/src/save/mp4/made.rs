//! Videos made by hand, for tests: whole as far as their structure goes.

pub(crate) const STRAIGHT: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

pub(crate) fn part(kind: &[u8], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, content].concat()
}

/// A box of 32-bit fields behind a version and flags.
pub(crate) fn table(kind: &[u8], fields: &[u32]) -> Vec<u8> {
    let fields: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
    part(kind, &[&[0; 4][..], &fields].concat())
}

pub(crate) fn tkhd(version: u8, matrix: [u32; 9], width: u32, height: u32) -> Vec<u8> {
    let times = if version == 1 { 16 } else { 8 };
    let mut content = vec![version, 0, 0, 3];
    content.extend(vec![0; times]);
    content.extend([0, 0, 0, 1]);
    content.extend(vec![0; 4 + times / 2 + 16]);
    content.extend(matrix.iter().flat_map(|n| n.to_be_bytes()));
    content.extend([width << 16, height << 16].iter().flat_map(|n| n.to_be_bytes()));
    part(b"tkhd", &content)
}

/// A track for `handler` whose sample table holds these boxes.
pub(crate) fn trak(header: &[u8], handler: &[u8], tables: &[Vec<u8>]) -> Vec<u8> {
    let hdlr = part(b"hdlr", &[&[0; 8][..], handler, &[0; 13]].concat());
    let minf = part(b"minf", &part(b"stbl", &tables.concat()));
    part(b"trak", &[header, &part(b"mdia", &[hdlr, minf].concat())].concat())
}

/// One chunk at `offset` with samples of these sizes.
pub(crate) fn chunk(offset: usize, sizes: &[u32]) -> Vec<Vec<u8>> {
    let count = u32::try_from(sizes.len()).unwrap();
    vec![
        table(b"stsz", &[&[0, count][..], sizes].concat()),
        table(b"stsc", &[1, 1, count, 1]),
        table(b"stco", &[1, u32::try_from(offset).unwrap()]),
    ]
}

/// A file whose index comes first: its tracks are made of where its media data begin.
pub(crate) fn file(tracks: impl Fn(usize) -> Vec<Vec<u8>>, media: &[u8]) -> Vec<u8> {
    let head = |offset| {
        let moov = [part(b"mvhd", &[0; 100]), tracks(offset).concat()].concat();
        [part(b"ftyp", b"isom\0\0\x02\0isomiso2"), part(b"moov", &moov)].concat()
    };
    [head(head(0).len() + 8), part(b"mdat", media)].concat()
}

/// A video of 1280×720 with one sample, which is all of `media`.
pub(crate) fn video(media: &[u8]) -> Vec<u8> {
    video_of(1280, 720, media)
}

/// The same of another size.
pub(crate) fn video_of(width: u32, height: u32, media: &[u8]) -> Vec<u8> {
    let size = u32::try_from(media.len()).unwrap();
    file(|at| vec![trak(&tkhd(0, STRAIGHT, width, height), b"vide", &chunk(at, &[size]))], media)
}
