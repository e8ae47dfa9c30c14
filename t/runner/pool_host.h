/* pool_host.h - a minimal server: a table, a spawner over real PHP, and a
 * submitter in the test's own process. */

#ifndef POOL_HOST_H
#define POOL_HOST_H

#include "ephpm_jobs.h"
#include "ephpm_pool.h"
#include "ephpm_snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How long anything may take at all: much longer than it does. */
#define PATIENCE_S 120

/* What a test says of its server.  0: as a server would have it. */
typedef struct host_options {
    unsigned runners;           /* 0: 1 */
    unsigned queue;
    const char *ini;            /* php.ini's text */
    const char *preload;        /* a script's text */
    unsigned slowlog_ms;
    unsigned terminate_ms;
    unsigned max_requests;
    unsigned stop_ms;
    bool store;
    bool php_answers;
    bool late;                  /* do not wait for a runner */
    void (*started)(void);
} host_options_t;

typedef struct host {
    ephpm_jobs_t *jobs;
    ephpm_pool_t pool;
    ephpm_pool_store_t store;
    kv_store_t *kv;             /* the test's own handle */
    pid_t spawner;              /* a child */
    char folder[64];
    char ini[96];
    char slowlog[96];
    char temp[96];
} host_t;

extern host_t host;

/** Make all of it, and wait for a runner. */
void host_start(const host_options_t *options);

/** Fork a spawner. */
void host_spawn(void);

/** End it: SIGTERM, and wait.  @return the spawner's exit status */
int host_stop(void);

/** After each test: nothing that it has started is left. */
void host_end(void);

/** Write a script, and return its path, good until the next call. */
const char *host_script(const char *name, const char *php);

/** What spawner and runners have logged; free it. */
char *host_logged(void);

/** Is `text` in the log?  Waits for it. */
bool host_logs(const char *text);

/** How often is it there? */
unsigned host_log_count(const char *text);

/** A file's text, or ""; free it. */
char *host_file(const char *path);

/** Wait until `is` returns true.  @return false: it took too long */
bool host_wait(bool (*is)(void));

/** Sleep. */
void host_sleep(unsigned ms);

double host_clock(void);

/** The test's own changes to the store. */
void set(const char *key);
bool is_set(const char *key);

/** One of the table's counters; the process at a runner's place. */
uint64_t counted(ephpm_count_t count);
pid_t runner_pid(unsigned index);

/** The child of `parent`, of which there is one; 0: none */
pid_t host_child(pid_t parent);

/** VmRSS and the like, in KiB. */
long host_memory(pid_t pid, const char *field);

/* ------------------------------------------------------------------ */
/* Requests                                                            */

/* What is asked.  NULL and 0: a plain GET. */
typedef struct ask {
    const char *php;            /* the script's text, or */
    const char *script;         /* its path */
    const char *method;
    const char *query;
    const char *type;           /* of the body */
    const char *body;
    size_t body_bytes;          /* 0: strlen(body) */
    bool body_in_file;
    const char *body_file;      /* such a file, whatever it is */
    int64_t body_file_bytes;    /* said to be in it */
    const char *cookies;
    const char *authorization;
    const char *user;
    const char *user_ini_root;
    const char *host_name;
    int64_t flags;
    int64_t store;              /* 0: 1, the only one */
    int64_t settings;
    int64_t status;
    const char *const *pairs;   /* name, value, ..., NULL: variables */
    const char *const *headers;
    const ephpm_setting_t *ini; /* up to one without a name */
    bool slow;                  /* take 1,000 bytes at a time, with pauses */
} ask_t;

typedef struct answer {
    ephpm_job_t job;
    ephpm_read_t read;          /* how it ended */
    char frames[4096];          /* their letters: i h b f l n e . (end) */
    size_t frame_count;
    int status;                 /* 0: no head */
    int interim;
    char reason[128];
    char *head;                 /* "+name: value\n", = for replace, - -- */
    char *body;
    size_t body_bytes;
    char *log;
    char *notes;
    ephpm_job_end_t end;
    ephpm_job_times_t times;
    size_t take_most;           /* of the body, with a call; 0: all */
} answer_t;

/** Hand a job over. */
void ask_begin(const ask_t *ask, answer_t *answer);

/** Read what there is.  @return true: it has ended */
bool ask_read(answer_t *answer);

/** Read to the end, and release it. */
void ask_end(answer_t *answer);

/** All of it. */
void ask_all(const ask_t *ask, answer_t *answer);

/** Free what it has. */
void answer_free(answer_t *answer);

/** Is `part` in `text`, or not? */
void has(const char *text, const char *part);
void has_not(const char *text, const char *part);

/** Run a script whose body is to be `want`. */
void expect(const char *php, const char *want);

/** The body of a script's answer; free it. */
char *run(const char *php);

#endif
