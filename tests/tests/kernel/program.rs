//! Programs in source form that run in both classes and must say the same.

use std::time::Duration;

use super::{ALL_WORKLOADS, Kernel};

/// Long enough to compile and run on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program of a language.
pub struct Program<'a> {
    /// The name its file gets in an empty directory, which is the working directory.
    pub file: &'a str,
    pub text: &'a str,
    /// The shell's command that runs it.
    pub command: &'a str,
    /// Flags of `run`.
    pub flags: &'a [&'a str],
    /// What it returns.
    pub code: i32,
}

impl Program<'_> {
    /// Runs it in both classes, with the image of everything; gives its output.
    #[track_caller]
    pub fn same(&self) -> String {
        self.same_in(ALL_WORKLOADS)
    }

    /// The same with another image.
    #[track_caller]
    pub fn same_in(&self, image: &'static str) -> String {
        let kernel = Kernel::shared(image);
        let (native, ours) = (self.run(&kernel, "native"), self.run(&kernel, "kernel"));
        assert_eq!(native.1, self.code, "{} in class native:\n{}", self.file, native.0);
        assert_eq!(ours, native, "{}: class kernel, then class native", self.file);
        ours.0
    }

    fn run(&self, kernel: &Kernel, class: &str) -> (String, i32) {
        let script = format!("d=$(mktemp -d); cd $d; cat >{}; {} </dev/null", self.file, self.command);
        let flags = [&["--rm", "-i"], self.flags].concat();
        let output = kernel.run_in(class, &flags, &["sh", "-c", &script]).input(self.text).timeout(PATIENCE).run();
        let text = output.stdout.clone();
        if output.code != self.code {
            return (format!("{text}\n{}", output.stderr), output.code);
        }
        (text, output.code)
    }
}
