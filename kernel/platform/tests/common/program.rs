//! Builds C programs without a library, and reads what the linker made.

use std::process::Command;

/// A static program in memory.
#[derive(Clone, Debug)]
pub struct Program {
    pub entry: u64,
    pub start: u64,
    pub len: u64,
    pub segments: Vec<(u64, Vec<u8>)>,
    /// As the linker wrote it.
    pub file: Vec<u8>,
}

/// What every program begins with: system calls and little else.
const PRELUDE: &str = r#"
typedef unsigned long u64; typedef unsigned int u32;
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  register long r10 asm("r10") = d; register long r8 asm("r8") = e; register long r9 asm("r9") = f;
  asm volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return n; }
#define sys(n, a, b, c) sys6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
static void print(const char *s) { long n = 0; while (s[n]) n++; sys(1, 1, s, n); }
static void exit_group(long code) { for (;;) sys(231, code, 0, 0); }
static void *map(long len) { return (void *)sys6(9, 0, len, 3, 0x22, -1, 0); }
/* Starts f on a stack of its own; gives what clone gives. When it ends, *clear becomes 0. */
static long thread_at(void (*f)(void), char *stack, volatile u32 *clear) {
  u64 *top = (u64 *)(stack + 65536 - 64); *top = (u64)f;
  register long r10 asm("r10") = (long)clear; register long r8 asm("r8") = 0; long n = 56;
  asm volatile("syscall; test %%rax, %%rax; jnz 1f; xor %%ebp, %%ebp; pop %%rax; call *%%rax; mov $60, %%eax; syscall; 1:"
    : "+a"(n) : "D"(0x250f00), "S"(top), "d"(0), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return n; }
static long thread(void (*f)(void)) { return thread_at(f, map(65536), 0); }
void start(void);
asm(".globl _start\n_start: xor %ebp, %ebp; and $-16, %rsp; call start; hlt");
void *memset(void *to, int c, u64 n) { char *p = to; while (n--) *p++ = c; return to; }
void *memcpy(void *to, const void *from, u64 n) {
  char *p = to; const char *q = from; while (n--) *p++ = *q++; return to; }
"#;

impl Program {
    /// Compiles `source`, whose `start` is the program.
    pub fn build(source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (code, program) = (folder.path().join("program.c"), folder.path().join("program"));
        std::fs::write(&code, format!("{PRELUDE}\n{source}")).expect("write a file");
        let flags =
            ["-O1", "-w", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie"];
        let also = ["-fno-tree-loop-distribute-patterns", "-fcf-protection=none", "-mgeneral-regs-only"];
        let own = if source.contains("/* vectors */") { &also[..2] } else { &also[..] };
        let status = Command::new("gcc").args(flags).args(own).arg("-o").arg(&program).arg(&code).status();
        assert!(status.expect("run gcc").success(), "gcc builds the program");
        Self::parse(&std::fs::read(&program).expect("read the program"))
    }

    fn parse(file: &[u8]) -> Self {
        let (table, count) = (number(file, 32, 8), number(file, 56, 2));
        let mut segments = Vec::new();
        let (mut start, mut end) = (u64::MAX, 0);
        for header in (0..count).map(|index| index_of(table) + index_of(index) * 56) {
            if number(file, header, 4) != 1 {
                continue;
            }
            let [offset, address, file_len, len] = [8, 16, 32, 40].map(|at| number(file, header + at, 8));
            segments.push((address, file[index_of(offset)..index_of(offset + file_len)].to_vec()));
            (start, end) = (start.min(address & !0xfff), end.max((address + len + 0xfff) & !0xfff));
        }
        Self { entry: number(file, 24, 8), start, len: end - start, segments, file: file.to_vec() }
    }
}

fn number(file: &[u8], at: usize, len: usize) -> u64 {
    file[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn index_of(value: u64) -> usize {
    usize::try_from(value).expect("64-bit")
}
