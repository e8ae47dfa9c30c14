/* deaths.c - ways to die, and not to, with a lock in hand.
 *
 * A process or thread holds a shard's lock, or is amid a write, when it is
 * killed and not waited for, ends in one of the other ways there are, is only
 * stopped, forks, or runs a signal handler that ends it or writes itself.
 */

#include "rig.h"

#include "kv_evict.h"
#include "kv_index.h"
#include "kv_lock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORE_BYTES (256u << 10)
#define SHARDS 4u
#define KEYS 24u
#define VALUE_ROOM 16384u
#define ROUNDS 250u
#define SOON_MS 60000    /* of calls that need not wait */

/* What processes tell each other. */
typedef struct sign {
    _Atomic uint32_t holds;
    _Atomic uint32_t go;
    _Atomic uint32_t done;
    _Atomic int32_t result;
    _Atomic uint32_t busy;      /* answers to handlers' calls */
    _Atomic uint32_t allowed;
    _Atomic uint32_t other;
} sign_t;

static sign_t *sign;
static rig_store_t made;
static kv_store_t *own;

static void begin(uint32_t threads, uint32_t wait_limit_ms)
{
    kv_config_t config;

    kv_config_init(&config);
    config.segment_bytes = 4096;
    config.shards = SHARDS;
    config.threads_max = threads;
    config.wait_limit_ms = wait_limit_ms;
    made = rig_store_make(STORE_BYTES, &config);
    own = rig_attach(&made);
    memset(sign, 0, sizeof(*sign));
}

static void finish(void)
{
    kv_store_detach(own);
}

/* A key in the shard. */
static size_t key_in(uint32_t shard, char *name)
{
    for (uint32_t i = 0;; i++) {
        size_t bytes = (size_t)sprintf(name, "in %u %u", shard, i);
        if (kv_hash_shard(own, kv_hash(own, name, bytes)) == shard) {
            return bytes;
        }
    }
}

static kv_result_t set_in(kv_store_t *store, uint32_t shard)
{
    char name[32];
    size_t bytes = key_in(shard, name);
    return kv_value_set(store, name, bytes, "value", 5, KV_NO_TTL,
                        KV_SET_ALWAYS);
}

static kv_result_t get_in(kv_store_t *store, uint32_t shard)
{
    char name[32];
    char value[8];
    size_t value_bytes;
    size_t bytes = key_in(shard, name);
    return rig_get(store, name, bytes, value, sizeof(value), &value_bytes);
}

static uint64_t steals(void)
{
    kv_stats_t stats;
    kv_store_stats(own, &stats);
    return stats.steals;
}

static void await(_Atomic uint32_t *flag)
{
    while (!atomic_load(flag)) {
        rig_sleep_us(200);
    }
}

/* In a child: attach and take the shard's lock. */
static kv_store_t *take(uint32_t shard)
{
    kv_store_t *store = rig_attach(&made);
    if (kv_shard_lock(store, &store->shards[shard]) != KV_OK) {
        _exit(3);
    }
    atomic_store(&sign->holds, 1);
    return store;
}

static bool went_on(const char *how)
{
    uint64_t before = steals();
    kv_result_t result = set_in(own, 1);
    const char *broken = rig_audit(own);
    uint64_t taken = steals() - before;
    bool good = result == KV_OK && taken == 1 && broken == NULL;

    rig_ok(good, "%s: the next writer takes the lock over", how);
    if (!good) {
        rig_note("set: %s; taken over: %" PRIu64 "; audit: %s",
                 kv_result_text(result), taken, broken ? broken : "good");
    }
    return good;
}

/* ------------------------------------------------------------------ */
/* Dead, in each way                                                   */

static void zombie(void)
{
    siginfo_t info;

    begin(8, SOON_MS);
    pid_t pid = rig_fork();
    if (pid == 0) {
        take(1);
        for (;;) {
            pause();
        }
    }
    await(&sign->holds);
    rig_signal(pid, SIGKILL);
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    rig_ok(kill(pid, 0) == 0, "a zombie still has its process id");
    went_on("killed, and not waited for");
    rig_kill(pid);
    finish();
}

static void by_exit(void)
{
    _exit(0);
}

static void by_segv(void)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void by_abort(void)
{
    abort();
}

static void by_exec(void)
{
    execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
}

static void *thread_that_ends(void *unused)
{
    (void)unused;
    take(1);
    return NULL;
}

static void by_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, thread_that_ends, NULL);
    pthread_join(thread, NULL);
    atomic_store(&sign->done, 1);
    for (;;) {
        pause(); /* the process lives on */
    }
}

static void ends(const char *how, void (*die)(void), bool takes_itself)
{
    begin(8, SOON_MS);
    pid_t pid = rig_fork();
    if (pid == 0) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        if (!takes_itself) {
            take(1);
        }
        die();
        _exit(9);
    }
    if (takes_itself) {
        await(&sign->done);
    } else {
        await(&sign->holds);
    }
    went_on(how);
    rig_kill(pid);
    finish();
}

/* ------------------------------------------------------------------ */
/* Alive                                                               */

static void stopped(void)
{
    begin(8, 200);
    set_in(own, 1);
    pid_t pid = rig_fork();
    if (pid == 0) {
        kv_store_t *store = take(1);
        raise(SIGSTOP);
        kv_unlock(&store->shards[1].lock);
        atomic_store(&sign->done, 1);
        for (;;) {
            pause();
        }
    }
    await(&sign->holds);
    int status;
    while (waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR) {
    }
    rig_ok(get_in(own, 1) == KV_OK, "owner stopped: reading goes on");
    rig_ok(set_in(own, 2) == KV_OK, "owner stopped: other shards go on");
    rig_ok(set_in(own, 1) == KV_BUSY, "owner stopped: its shard is busy");
    rig_ok(steals() == 0, "owner stopped: nothing is taken from it");
    rig_signal(pid, SIGCONT);
    await(&sign->done);
    rig_ok(set_in(own, 1) == KV_OK && rig_audit(own) == NULL,
           "owner woken: its shard goes on");
    rig_kill(pid);
    finish();
}

static void forked(void)
{
    begin(8, 200);
    set_in(own, 1);
    kv_shard_lock(own, &own->shards[1]);
    uint64_t word = own->lock_word;
    pid_t pid = rig_fork();
    if (pid == 0) {
        bool good = get_in(own, 1) == KV_OK &&  /* not attached yet */
                    own->lock_word == 0 && set_in(own, 2) == KV_OK &&
                    own->lock_word != 0 && own->lock_word != word &&
                    set_in(own, 1) == KV_BUSY;
        atomic_store(&sign->result, good);
        kv_shard_lock(own, &own->shards[3]);
        _exit(0);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    rig_ok(atomic_load(&sign->result) == 1, "forked: the child reads, "
           "attaches to write, and does not take its parent's lock");
    rig_ok(own->lock_word == word && ld_acq(&own->shards[1].lock) == word,
           "forked: the child's death leaves the parent's lock");
    kv_unlock(&own->shards[1].lock);
    rig_ok(set_in(own, 1) == KV_OK && set_in(own, 3) == KV_OK &&
               steals() == 1 && rig_audit(own) == NULL,
           "forked: the lock that the child died with is taken over");
    finish();
}

/* The parent dies, its child lives and has its memory. */
static void orphaned(void)
{
    begin(8, SOON_MS);
    pid_t pid = rig_fork();
    if (pid == 0) {
        take(1);
        pid_t child = fork();
        if (child == 0) {
            atomic_store(&sign->result, (int32_t)getpid());
            atomic_store(&sign->go, 1);
            for (;;) {
                pause();
            }
        }
        await(&sign->go);
        _exit(0);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    went_on("dead, while a child of its lives");
    kill((pid_t)atomic_load(&sign->result), SIGKILL);
    finish();
}

static void full_table(void)
{
    pid_t pid[2];

    begin(3, 200);
    for (int i = 0; i < 2; i++) {
        sign->holds = 0;
        pid[i] = rig_fork();
        if (pid[i] == 0) {
            rig_attach(&made);
            atomic_store(&sign->holds, 1);
            for (;;) {
                pause();
            }
        }
        await(&sign->holds);
    }
    set_in(own, 1);
    kv_store_t *late = rig_attach(&made);
    rig_ok(get_in(late, 1) == KV_OK && set_in(late, 1) == KV_BUSY,
           "no place in the table of threads: reads work, writes are busy");
    rig_kill(pid[0]);
    rig_ok(set_in(late, 1) == KV_OK && rig_audit(own) == NULL,
           "a dead one's place is free at once");
    kv_store_detach(late);
    rig_kill(pid[1]);
    finish();
}

/* ------------------------------------------------------------------ */
/* Signal handlers amid writes                                         */

static kv_store_t *writer;

static size_t value_of(unsigned char *to, uint32_t key, uint32_t turn)
{
    size_t bytes = 8 + rig_mix((uint64_t)turn << 8 | key) %
                           (key % 8 == 7 ? VALUE_ROOM - 8 : 300);
    memcpy(to, &turn, 4);
    memcpy(to + 4, &key, 4);
    rig_fill(to + 8, bytes - 8, (uint64_t)turn << 8 | key);
    return bytes;
}

static void write_on(uint32_t from)
{
    static unsigned char value[VALUE_ROOM];
    char name[16];

    for (uint32_t turn = from;; turn++) {
        uint32_t key = rig_mix(turn) % KEYS;
        size_t name_bytes = (size_t)sprintf(name, "key %u", key);
        size_t bytes = value_of(value, key, turn);
        switch (turn % 8) {
        case 0:
            kv_key_delete(writer, name, name_bytes);
            break;
        case 1:
            kv_deadline_set(writer, name, name_bytes, 3600000);
            break;
        default:
            kv_value_set(writer, name, name_bytes, value, bytes, KV_NO_TTL,
                         KV_SET_ALWAYS);
        }
    }
}

static const char *read_all(void)
{
    static unsigned char value[VALUE_ROOM];
    static unsigned char want[VALUE_ROOM];

    for (uint32_t key = 0; key < KEYS; key++) {
        char name[16];
        size_t name_bytes = (size_t)sprintf(name, "key %u", key);
        size_t bytes = 0;
        uint32_t turn;
        if (rig_get(own, name, name_bytes, value, sizeof(value), &bytes) ==
            KV_MISSING) {
            continue;
        }
        memcpy(&turn, value, 4);
        if (bytes < 8 || value_of(want, key, turn) != bytes ||
            memcmp(value, want, bytes) != 0) {
            return "a torn value";
        }
    }
    return NULL;
}

static void exit_in_handler(int signal_number)
{
    (void)signal_number;
    _exit(124);
}

/* What a server's clean-up might do, and more than it should. */
static void clean_up(int signal_number)
{
    (void)signal_number;
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        kv_result_t result = set_in(writer, shard);
        if (result == KV_OK || result == KV_NO_ROOM) {
            sign->allowed++;
        } else if (result == KV_BUSY) {
            sign->busy++;
        } else {
            sign->other++;
        }
    }
    _exit(0);
}

static void amid_writes(const char *name, void (*handler)(int),
                        int signal_number, int expected_status)
{
    const char *why = NULL;
    uint32_t locked = 0;

    begin(8, SOON_MS);
    rig_random_t random = { rig_now_ns() };
    for (uint32_t i = 0; why == NULL && i < ROUNDS; i++) {
        int status;
        sign->holds = 0;
        pid_t pid = rig_fork();
        if (pid == 0) {
            signal(signal_number, handler);
            writer = rig_attach(&made);
            atomic_store(&sign->holds, 1);
            write_on(i * 100000);
        }
        while (!atomic_load(&sign->holds)) {
            rig_sleep_us(20);
        }
        rig_sleep_us(rig_below(&random, 1000));
        rig_signal(pid, signal_number);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != expected_status) {
            why = "it did not end as it should";
            break;
        }
        uint64_t before = steals();
        why = rig_audit(own);
        locked += steals() != before;
        if (why == NULL) {
            why = read_all();
        }
    }
    rig_ok(why == NULL, "%s%s%s", name, why == NULL ? "" : ": ",
           why == NULL ? "" : why);
    rig_ok(locked > 0, "%s: some of them under a lock", name);
    rig_note("%u of %u under a lock", locked, ROUNDS);
    if (handler == clean_up) {
        rig_ok(sign->busy > 0 && sign->allowed > 0 && sign->other == 0,
               "%s: a shard that the handler has interrupted is busy, the "
               "others are not", name);
    }
    finish();
}

int main(void)
{
    rig_begin();
    sign = rig_shared(sizeof(*sign));
    rig_watchdog(300, "deaths");
    zombie();
    ends("_exit()", by_exit, false);
    ends("a segmentation fault", by_segv, false);
    ends("abort()", by_abort, false);
    ends("exec()", by_exec, false);
    ends("the end of a thread whose process lives", by_thread, true);
    stopped();
    forked();
    orphaned();
    full_table();
    amid_writes("_exit() in a signal handler amid writes", exit_in_handler,
                SIGALRM, 124);
    amid_writes("SIGTERM's clean-up amid writes", clean_up, SIGTERM, 0);
    return rig_done();
}
