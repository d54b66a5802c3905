//! What a monitor is told when it starts, as one word of its command line.

use serde::{Deserialize, Serialize};

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The machine's memory.
    pub memory_mib: usize,
    /// Its processors.
    pub vcpus: u8,
    /// Empty slots for disks of containers that join.
    pub slots: usize,
    /// The guest's own host name.
    pub hostname: String,
    /// What the descriptors from 3 on are.
    pub descriptors: Vec<Given>,
}

/// A descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Given {
    /// The hypervisor's device.
    Kvm,
    /// The guest's kernel.
    Kernel,
    /// The archive that it starts from.
    Initrd,
    /// An image layer, lowest first.
    Layer,
    /// The disk that catches writes.
    Upper,
    /// The same for a container that nobody misses after a power cut.
    Scratch,
    /// A connection to the file server of the share with this tag.
    Share(String),
    /// The tap of a network card.
    Card(Card),
}

/// What a network card tells its driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    /// Its address.
    pub mac: [u8; 6],
    /// The longest packet, where that is known when the machine starts.
    pub mtu: Option<u16>,
}

impl Settings {
    /// The machine's network cards, by names for its configuration.
    pub(crate) fn cards(&self) -> impl Iterator<Item = (String, &Card)> {
        let cards = self.descriptors.iter().filter_map(|given| match given {
            Given::Card(card) => Some(card),
            _ => None,
        });
        cards.enumerate().map(|(index, card)| (format!("card{index}"), card))
    }

    /// The tags of the machine's shares.
    pub(crate) fn shares(&self) -> impl Iterator<Item = &str> {
        self.descriptors.iter().filter_map(|given| match given {
            Given::Share(tag) => Some(tag.as_str()),
            _ => None,
        })
    }
}

/// The serial of the disk that has the layers.
pub(crate) const LAYERS: &str = "layers0";
/// The serial of the disk that catches writes.
pub(crate) const UPPER: &str = "upper0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        let card = Card { mac: [2; 6], mtu: Some(1400) };
        let descriptors = vec![Given::Kvm, Given::Layer, Given::Share("root".into()), Given::Card(card.clone())];
        let settings = Settings { memory_mib: 256, vcpus: 2, slots: 4, hostname: "web".into(), descriptors };
        let word = serde_json::to_string(&settings).expect("plain data");
        assert_eq!(serde_json::from_str::<Settings>(&word).expect("its own word"), settings);
        assert_eq!(settings.shares().collect::<Vec<_>>(), ["root"]);
        assert_eq!(settings.cards().collect::<Vec<_>>(), [("card0".to_owned(), &card)]);
    }
}
