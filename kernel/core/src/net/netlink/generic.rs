//! Generic netlink (Documentation/userspace-api/netlink/intro.rst): the families that there are, and what they say.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::message::{KINDS_START, Request, attribute, find_attribute};
use super::taskstats;
use crate::Errno;
use crate::abi::Encoder;
use crate::task::{Namespaces, Task};

/// Bytes of `struct genlmsghdr`.
const HEADER_BYTES: usize = 4;
/// GENL_ID_CTRL
const CONTROL: u16 = 16;
/// CTRL_CMD_NEWFAMILY and CTRL_CMD_GETFAMILY
const NEW_FAMILY: u8 = 1;
const GET_FAMILY: u8 = 3;
/// CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_VERSION, CTRL_ATTR_HDRSIZE, CTRL_ATTR_MAXATTR, CTRL_ATTR_OPS
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const VERSION: u16 = 3;
const HEADER_SIZE: u16 = 4;
const ATTRIBUTES_MAX: u16 = 5;
const COMMANDS: u16 = 6;

/// A family.
struct Family {
    id: u16,
    name: &'static [u8],
    version: u32,
    attributes_max: u32,
    /// Commands, and their flags (GENL_CMD_CAP_DO, GENL_CMD_CAP_DUMP, GENL_CMD_CAP_HASPOL, GENL_ADMIN_PERM).
    commands: &'static [(u32, u32)],
}

const FAMILIES: &[Family] = &[
    Family { id: CONTROL, name: b"nlctrl\0", version: 2, attributes_max: 10, commands: &[(3, 0xe)] },
    Family { id: taskstats::KIND, name: b"TASKSTATS\0", version: 1, attributes_max: 4, commands: &[(1, 0xb)] },
];

/// What is sent back for a request.
pub(super) fn answer(request: &Request<'_>, namespaces: &Namespaces, task: Option<&Arc<Task>>) -> Vec<Vec<u8>> {
    let Some((header, attributes)) = request.body.split_first_chunk::<HEADER_BYTES>() else {
        return request.refused(Errno::EINVAL);
    };
    let found = match (request.kind, header[0]) {
        (0..KINDS_START, _) => return request.acknowledged(),
        (CONTROL, GET_FAMILY) if request.dumps() => Ok(FAMILIES.iter().map(Family::told).collect()),
        (CONTROL, GET_FAMILY) => family(attributes).map(|family| alloc::vec![family.told()]),
        (taskstats::KIND, taskstats::GET) => {
            taskstats::get(attributes, namespaces, task).map(|told| alloc::vec![(taskstats::KIND, told)])
        }
        (CONTROL | taskstats::KIND, _) => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::ENOENT),
    };
    found.map_or_else(|errno| request.refused(errno), |found| request.found(&found))
}

/// The family that is asked for, by its number or its name.
fn family(attributes: &[u8]) -> Result<&'static Family, Errno> {
    let id = find_attribute(attributes, FAMILY_ID).and_then(<[u8]>::first_chunk).map(|id| u16::from_le_bytes(*id));
    let name = find_attribute(attributes, FAMILY_NAME);
    let is_asked = |family: &&Family| match (id, name) {
        (_, Some(name)) => family.name == name,
        (id, None) => Some(family.id) == id,
    };
    if id.is_none() && name.is_none() {
        return Err(Errno::EINVAL);
    }
    FAMILIES.iter().find(is_asked).ok_or(Errno::ENOENT)
}

impl Family {
    fn told(&self) -> (u16, Vec<u8>) {
        let mut body = Encoder::new();
        body.bytes(&[NEW_FAMILY, 2, 0, 0]);
        attribute(&mut body, FAMILY_NAME, self.name);
        attribute(&mut body, FAMILY_ID, &self.id.to_le_bytes());
        attribute(&mut body, VERSION, &self.version.to_le_bytes());
        attribute(&mut body, HEADER_SIZE, &0_u32.to_le_bytes());
        attribute(&mut body, ATTRIBUTES_MAX, &self.attributes_max.to_le_bytes());
        let mut commands = Encoder::new();
        for (index, (number, flags)) in (1..).zip(self.commands) {
            let mut command = Encoder::new();
            attribute(&mut command, 1, &number.to_le_bytes());
            attribute(&mut command, 2, &flags.to_le_bytes());
            attribute(&mut commands, index, &command.finish());
        }
        attribute(&mut body, COMMANDS, &commands.finish());
        (CONTROL, body.finish())
    }
}
