/* rig.c - see rig.h. */

#include "rig.h"

#include "kv_evict.h"
#include "kv_large.h"
#include "kv_lock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned tests;
static unsigned failures;

void rig_begin(void)
{
#ifdef __SANITIZE_THREAD__
    printf("1..0 # SKIP ThreadSanitizer sees one process only\n");
    exit(0);
#endif
}

bool rig_ok(bool ok, const char *format, ...)
{
    va_list args;

    printf("%sok %u - ", ok ? "" : "not ", ++tests);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    failures += !ok;
    return ok;
}

void rig_note(const char *format, ...)
{
    va_list args;

    printf("# ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

void rig_skip(const char *name, const char *format, ...)
{
    va_list args;

    printf("ok %u - %s # SKIP ", ++tests, name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

void rig_die(const char *format, ...)
{
    va_list args;

    printf("Bail out! ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    exit(1);
}

int rig_done(void)
{
    printf("1..%u\n", tests);
    return failures == 0 && tests > 0 ? 0 : 1;
}

/* ------------------------------------------------------------------ */

static char watched[200];
static size_t watched_bytes;

static void bark(int signal_number)
{
    (void)signal_number;
    ssize_t ignored = write(1, watched, watched_bytes);
    (void)ignored;
    _exit(1);
}

void rig_watchdog(unsigned seconds, const char *format, ...)
{
    va_list args;
    int at = snprintf(watched, sizeof(watched), "Bail out! no end of: ");

    va_start(args, format);
    at += vsnprintf(watched + at, sizeof(watched) - (size_t)at - 1, format,
                    args);
    va_end(args);
    if (at > (int)sizeof(watched) - 2) {
        at = (int)sizeof(watched) - 2;
    }
    watched[at] = '\n';
    watched_bytes = (size_t)at + 1;
    signal(SIGALRM, bark);
    alarm(seconds);
}

/* ------------------------------------------------------------------ */

uint64_t rig_mix(uint64_t number)
{
    /* The finalizer of splitmix64 (Steele, Lea, Flood 2014). */
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

uint64_t rig_next(rig_random_t *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return rig_mix(random->state);
}

void rig_fill(void *to, size_t bytes, uint64_t seed)
{
    unsigned char *at = to;
    for (uint64_t i = 0; bytes > 0; i++) {
        uint64_t word = rig_mix(seed + i);
        size_t part = bytes < 8 ? bytes : 8;
        memcpy(at, &word, part);
        at += part;
        bytes -= part;
    }
}

bool rig_filled(const void *bytes_at, size_t bytes, uint64_t seed)
{
    const unsigned char *at = bytes_at;
    for (uint64_t i = 0; bytes > 0; i++) {
        uint64_t word = rig_mix(seed + i);
        size_t part = bytes < 8 ? bytes : 8;
        if (memcmp(at, &word, part) != 0) {
            return false;
        }
        at += part;
        bytes -= part;
    }
    return true;
}

uint64_t rig_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void rig_sleep_us(uint32_t us)
{
    struct timespec left = { us / 1000000, us % 1000000 * 1000 };
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* ------------------------------------------------------------------ */

void *rig_shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        rig_die("mmap of %zu bytes: %s", bytes, strerror(errno));
    }
    return memory;
}

pid_t rig_fork(void)
{
    pid_t parent = getpid();

    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        rig_die("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
    }
    return pid;
}

void rig_signal(pid_t pid, int signal_number)
{
    siginfo_t info;
    if (pid > 0 && waitid(P_PID, (id_t)pid, &info,
                          WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0) {
        kill(pid, signal_number);
    }
}

void rig_kill(pid_t pid)
{
    rig_signal(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* ------------------------------------------------------------------ */

rig_store_t rig_store_make(size_t bytes, const kv_config_t *config)
{
    rig_store_t made = { rig_shared(bytes), bytes };
    kv_result_t result = kv_store_create(made.memory, bytes, config);
    if (result != KV_OK) {
        rig_die("kv_store_create: %s", kv_result_text(result));
    }
    return made;
}

kv_store_t *rig_attach(const rig_store_t *made)
{
    kv_store_t *store;
    kv_result_t result = kv_store_attach(made->memory, made->bytes, &store);
    if (result != KV_OK) {
        rig_die("kv_store_attach: %s", kv_result_text(result));
    }
    return store;
}

kv_result_t rig_get(kv_store_t *store, const void *key, size_t key_len,
                    void *value, size_t room, size_t *value_bytes)
{
    kv_read_t read;
    kv_result_t result;

    do {
        result = kv_read_begin(store, key, key_len, &read);
        if (result != KV_OK) {
            break;
        }
        *value_bytes = read.value_bytes;
        if (read.value_bytes > room) {
            rig_die("a value of %zu bytes where none is longer than %zu",
                    read.value_bytes, room);
        }
        result = kv_read_copy(store, &read, value);
    } while (result == KV_RETRY);
    if (result != KV_OK && result != KV_MISSING) {
        rig_die("reading %.*s: %s", (int)key_len, (const char *)key,
                kv_result_text(result));
    }
    return result;
}

const char *rig_audit(kv_store_t *store)
{
    for (uint32_t i = 0; i < store->geometry.shards; i++) {
        kv_shard_t *shard = &store->shards[i];
        if (kv_shard_lock(store, shard) != KV_OK) {
            return "K3: a shard's lock cannot be had";
        }
        kv_unlock(&shard->lock);
    }
    kv_large_reap(store);
    if (ld_acq(&store->header->build_lock) != 0) {
        return "K3: the build lock cannot be had";
    }
    for (uint32_t i = 0; i < store->segments; i++) {
        if (kv_word_state(ld_acq(&store->words[i])) == KV_STATE_BUILDING) {
            return "S4: a segment that nobody builds in";
        }
    }
    return kv_store_check(store);
}

unsigned rig_locks_held(const kv_store_t *store, uint64_t lock_word)
{
    unsigned held = ld_acq(&store->header->build_lock) == lock_word;
    for (uint32_t i = 0; i < store->geometry.shards; i++) {
        held += ld_acq(&store->shards[i].lock) == lock_word;
    }
    return lock_word == 0 ? 0 : held;
}
