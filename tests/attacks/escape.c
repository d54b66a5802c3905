/* Tries to get out of a directory by races of renames and links: argv[1] is the directory, argv[2] how many seconds. What
   a name outside would give is told from what is inside by its content. A control runs the same on the host, where it
   does get out. */
#include "attack.h"

#include <dirent.h>
#include <sys/xattr.h>

static const char SECRET[] = "the secret";
static volatile int *escaped;

static void exchange(const char *a, const char *b) { syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2); }

static void look(int fd) {
    char text[64] = "";
    if (fd < 0) return;
    if (read(fd, text, sizeof text - 1) > 0 && strstr(text, SECRET)) *escaped = 1;
    close(fd);
}

static void read_at(int dir, const char *path) { look(openat(dir, path, O_RDONLY | O_NONBLOCK)); }

/* A directory and a link that leads out change places. */
static void swap(double end) {
    while (now() < end && !*escaped) exchange("dir", "link");
}

static void walk(double end) {
    while (now() < end && !*escaped) {
        read_at(AT_FDCWD, "dir/secret");
        read_at(AT_FDCWD, "dir/../secret");
        int dir = open("dir", O_RDONLY | O_DIRECTORY);
        if (dir >= 0) {
            read_at(dir, "secret");
            read_at(dir, "../secret");
            read_at(dir, "../../secret");
            close(dir);
        }
    }
}

static void make(double end) {
    while (now() < end && !*escaped) {
        close(open("dir/made", O_CREAT | O_WRONLY | O_TRUNC, 0666));
        mkdir("dir/made.d", 0777);
        symlink("x", "dir/made.l");
        link("dir/secret", "stolen");
        rename("own", "dir/moved");
        rename("dir/moved", "own");
        rename("dir/secret", "taken");
        rename("taken", "dir/secret");
        truncate("dir/secret", 40);
        chmod("dir/secret", 0600);
        setxattr("dir/secret", "user.a", "b", 1, 0);
        unlink("stolen");
        read_at(AT_FDCWD, "stolen");
        read_at(AT_FDCWD, "taken");
    }
}

/* A working directory is moved up and down below a walk to above. */
static void move(double end) {
    mkdir("deep", 0777); mkdir("deep/a", 0777); mkdir("deep/a/b", 0777); mkdir("deep/a/b/c", 0777);
    while (now() < end && !*escaped) { rename("deep/a/b/c", "c"); rename("c", "deep/a/b/c"); }
}

static void climb(double end) {
    while (now() < end && !*escaped) {
        if (chdir("deep/a/b/c")) continue;
        char path[80] = "";
        for (int up = 0; up < 20; up++) {
            strcat(path, "../");
            char name[100];
            snprintf(name, sizeof name, "%ssecret", path);
            int fd = open(name, O_RDONLY);
            char text[64] = "";
            if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strstr(text, SECRET)) *escaped = 1;
            if (fd >= 0) close(fd);
        }
        if (chdir(getenv("RACE"))) _exit(1);
    }
}

static void list(double end) {
    while (now() < end && !*escaped) {
        DIR *dir = opendir("dir");
        for (struct dirent *entry; dir && (entry = readdir(dir));)
            if (!strcmp(entry->d_name, "outside-only")) *escaped = 1;
        if (dir) closedir(dir);
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || chdir(argv[1])) return 2;
    setenv("RACE", argv[1], 1);
    escaped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mkdir("dir", 0777);
    int fd = open("dir/secret", O_CREAT | O_WRONLY, 0666);
    if (write(fd, "inside", 6) != 6) return 3;
    close(fd);
    close(open("own", O_CREAT | O_WRONLY, 0666));
    symlink("../..", "link");
    void (*all[])(double) = { swap, walk, walk, make, move, climb, list };
    double end = now() + atof(argv[2]);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (fork() == 0) { all[i](end); _exit(0); }
    while (wait(NULL) > 0) {}
    puts(*escaped ? "escaped" : "inside");
    return 0;
}
