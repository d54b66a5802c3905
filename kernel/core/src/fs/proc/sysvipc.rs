//! /proc/sysvipc (sysvipc(7)).

use super::ProcSystem;
use crate::fs::synthetic::{Directory, Entry};

pub(super) static SYSVIPC: Directory<ProcSystem> =
    Directory::of(&[Entry::constant("msg", MSG), Entry::constant("sem", SEM), Entry::constant("shm", SHM)]);

const MSG: &str = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      \
                   rtime      ctime\n";
const SEM: &str = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n";
const SHM: &str = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      \
                   atime      dtime      ctime                   rss                  swap\n";
