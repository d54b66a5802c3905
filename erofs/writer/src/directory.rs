//! Directory blocks.

use stockade_erofs::format::{BLOCK_BYTES, DIRENT_BYTES, Dirent, FileKind};

use crate::{NodeId, Tree};

const BLOCK: usize = BLOCK_BYTES as usize;

/// A directory's names with `.` and `..`, sorted and cut into blocks.
pub(crate) struct Listing<'a> {
    names: Vec<(&'a [u8], NodeId)>,
    /// One past each block's last name.
    ends: Vec<usize>,
    last_block_bytes: usize,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(tree: &'a Tree, directory: NodeId, parent: NodeId) -> Self {
        let mut names: Vec<_> = tree.children(directory).collect();
        for dots in [(b".".as_slice(), directory), (b"..".as_slice(), parent)] {
            let at = names.partition_point(|&(name, _)| name < dots.0);
            names.insert(at, dots);
        }
        Self::cut(names)
    }

    fn cut(names: Vec<(&'a [u8], NodeId)>) -> Self {
        let (mut ends, mut used) = (Vec::new(), 0);
        for (index, (name, _)) in names.iter().enumerate() {
            let more = DIRENT_BYTES + name.len();
            if used + more > BLOCK {
                ends.push(index);
                used = 0;
            }
            used += more;
        }
        ends.push(names.len());
        Self { names, ends, last_block_bytes: used }
    }

    /// Size of the directory: whole blocks, then the used part of the last.
    pub(crate) fn bytes(&self) -> usize {
        (self.ends.len() - 1) * BLOCK + self.last_block_bytes
    }

    /// The blocks, each but the last padded with zeros.
    pub(crate) fn blocks(&self, nid: impl Fn(NodeId) -> (u64, FileKind)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes());
        let mut start = 0;
        for &end in &self.ends {
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
            encode_block(&mut bytes, &self.names[start..end], &nid);
            start = end;
        }
        bytes
    }
}

fn encode_block(out: &mut Vec<u8>, names: &[(&[u8], NodeId)], nid: impl Fn(NodeId) -> (u64, FileKind)) {
    let mut name_offset = names.len() * DIRENT_BYTES;
    for &(name, id) in names {
        let (nid, kind) = nid(id);
        let offset = u16::try_from(name_offset).expect("a block's names end within the block");
        out.extend_from_slice(&Dirent { nid, name_offset: offset, kind }.encode());
        name_offset += name.len();
    }
    names.iter().for_each(|(name, _)| out.extend_from_slice(name));
}
