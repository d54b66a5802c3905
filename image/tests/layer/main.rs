//! Layers to EROFS: the kernel, `fsck.erofs` and our reader must agree on every image.

mod corpus;
mod directories;
mod hostile;
mod mkfs;
mod oracle;
mod overlay;
mod tar;
mod trees;
