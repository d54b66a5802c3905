/* System V message queues, and semaphores that are waited for for a while. Prints the same on every Linux. */
#include "show.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <time.h>

struct note {
    long type;
    char text[64];
};

static int make(void) {
    return OPEN("make", msgget(IPC_PRIVATE, IPC_CREAT | 0600));
}

static void put(int queue, long type, const char *text, int flags) {
    struct note note = {type, ""};
    strcpy(note.text, text), SHOW("put %ld ", type);
    TRY(text, msgsnd(queue, &note, strlen(text) + 1, flags));
}

static void get(int queue, long type, int size, int flags) {
    struct note note = {0, ""};
    errno = 0;
    long len = msgrcv(queue, &note, size, type, flags);
    SHOW("get %ld: %ld/%d %ld %.63s\n", type, len, len < 0 ? errno : 0, note.type, note.text);
}

static void order(void) {
    int queue = make();
    put(queue, 3, "three", 0), put(queue, 1, "one", 0), put(queue, 2, "two", 0), put(queue, 1, "uno", 0);
    get(queue, -2, 64, 0), get(queue, 0, 64, 0), get(queue, 1, 64, MSG_EXCEPT), get(queue, 5, 64, IPC_NOWAIT);
    get(queue, 1, 2, 0), get(queue, 1, 2, MSG_NOERROR), get(queue, 0, 64, IPC_NOWAIT);
    put(queue, 0, "no type", 0), put(queue, -1, "no type", 0), put(queue, 1, "flags", 1 << 30);
    struct note note = {1, ""};
    TRY("too long", msgsnd(queue, &note, 1 << 20, 0)), TRY("pointer", msgsnd(queue, (void *)8, 1, 0));
    TRY("no queue", msgsnd(-1, &note, 1, 0)), TRY("size", msgrcv(queue, &note, -1, 0, IPC_NOWAIT));
    TRY("end", msgctl(queue, IPC_RMID, 0)), get(queue, 0, 64, IPC_NOWAIT), TRY("again", msgctl(queue, IPC_RMID, 0));
}

static void state(void) {
    struct msqid_ds about;
    int queue = make();
    put(queue, 1, "first", 0), put(queue, 1, "second", 0);
    TRY("stat", msgctl(queue, IPC_STAT, &about));
    SHOW("%d notes, %d mode, sender %d, receiver %d\n", (int)about.msg_qnum, about.msg_perm.mode,
        about.msg_lspid == getpid(), about.msg_lrpid);
    about.msg_qbytes = 20, about.msg_perm.mode = 0640, TRY("set", msgctl(queue, IPC_SET, &about));
    put(queue, 1, "more than fits", IPC_NOWAIT), get(queue, 0, 64, 0), put(queue, 1, "fits", IPC_NOWAIT);
    TRY("stat", msgctl(queue, IPC_STAT, &about)), SHOW("mode %o\n", about.msg_perm.mode);
    TRY("command", msgctl(queue, 99, &about)), TRY("end", msgctl(queue, IPC_RMID, 0));
    int named = OPEN("named", msgget(0x5ca1ab1e, IPC_CREAT | IPC_EXCL | 0600));
    TRY("again", msgget(0x5ca1ab1e, IPC_CREAT | IPC_EXCL | 0600));
    SHOW("found %d\n", msgget(0x5ca1ab1e, 0) == named);
    TRY("end", msgctl(named, IPC_RMID, 0)), TRY("gone", msgget(0x5ca1ab1e, 0));
}

static void nothing(int signal) {
    (void)signal;
}

/* Until a process that only waits does. */
static void asleep(pid_t pid) {
    char name[64], state = 0;
    sprintf(name, "/proc/%d/stat", pid);
    for (int i = 0; state != 'S' && i < 1000; i++) {
        FILE *file = fopen(name, "r");
        fscanf(file, "%*d %*s %c", &state), fclose(file), usleep(5000);
    }
}

static void waiting(void) {
    int queue = make();
    pid_t child;
    if (!fork()) get(queue, 7, 64, 0), _exit(0);
    usleep(20000), put(queue, 6, "not his", 0), usleep(20000), msgctl(queue, IPC_STAT, &(struct msqid_ds){0});
    struct note note = {7, "his"};
    msgsnd(queue, &note, 4, 0), wait(0);
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, 0);
    struct itimerspec often = {{0, 20000000}, {0, 20000000}}, never = {{0, 0}, {0, 0}};
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, 0, &timer), timer_settime(timer, 0, &often, 0);
    get(queue, 8, 64, 0), timer_settime(timer, 0, &never, 0);
    if (!(child = fork())) get(queue, 9, 64, 0), _exit(0);
    asleep(child), msgctl(queue, IPC_RMID, 0), wait(0);
}

static void rights(void) {
    struct msqid_ds about;
    int queue = make();
    TRY("user", setresuid(1000, 1000, 1000));
    put(queue, 1, "hidden", IPC_NOWAIT), get(queue, 0, 64, IPC_NOWAIT);
    TRY("stat", msgctl(queue, IPC_STAT, &about)), TRY("set", msgctl(queue, IPC_SET, &about));
    TRY("end", msgctl(queue, IPC_RMID, 0));
    int own = make();
    TRY("own", msgctl(own, IPC_RMID, 0));
}

static void timed(void) {
    int set = OPEN("set", semget(IPC_PRIVATE, 2, 0600));
    struct timespec soon = {0, 20000000}, wrong = {0, 2000000000};
    struct sembuf down = {0, -1, 0}, up = {0, 1, 0}, both[] = {{0, -1, 0}, {1, -1, 0}}, zero = {0, 0, 0};
    TRY("late", semtimedop(set, &down, 1, &soon)), TRY("wrong", semtimedop(set, &down, 1, &wrong));
    TRY("up", semtimedop(set, &up, 1, 0)), TRY("not both", semtimedop(set, both, 2, &soon));
    SHOW("kept %d\n", semctl(set, 0, GETVAL)), TRY("zero", semtimedop(set, &zero, 1, &soon));
    TRY("down", semtimedop(set, &down, 1, &soon)), TRY("zero", semtimedop(set, &zero, 1, &soon));
    TRY("end", semctl(set, 0, IPC_RMID));
}

int main(void) {
    PART(order), PART(state), PART(waiting), PART(rights), PART(timed);
    return 0;
}
