//! CRC-32C (Castagnoli), as the superblock's checksum uses it: seed all ones, no final inversion.

const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte as usize] = remainder(byte);
        byte += 1;
    }
    table
}

const fn remainder(byte: u32) -> u32 {
    let mut crc = byte;
    let mut bit = 0;
    while bit < 8 {
        crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
        bit += 1;
    }
    crc
}

/// Continues a CRC-32C over `bytes`.
pub fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |crc, &byte| (crc >> 8) ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    /// The check value of the catalogue of CRCs, which inverts at the end.
    #[test]
    fn matches_the_catalogue() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
    }
}
