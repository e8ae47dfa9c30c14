/* ephpm_sapi.h - PHP inside a server: one SAPI over a small table of calls.
 *
 * PHP talks to its host through a `sapi_module_struct`.  There is one here,
 * for every host; what differs between hosts is an ephpm_server_t, a table
 * of calls over an opaque request.  The host says what it knows of a request
 * in an ephpm_request_t and takes three separate steps:
 *
 *      ephpm_request_begin()    superglobals, INI, output, session
 *      ephpm_script_run()       none, one or several times
 *      ephpm_request_end()      shutdown functions, session, last output
 *
 * A response is complete, and an end-of-stream marker right, only after the
 * last one: sessions and shutdown functions still write in it.
 *
 * PHP serves one request at a time in a process.  A request that arrives
 * while a script runs (a server-side include, virtual()) is run inside it by
 * ephpm_script_include().
 *
 * Calls of the table may not call back into PHP, but through the function
 * that they were handed.  They may not longjmp.
 */

#ifndef EPHPM_SAPI_H
#define EPHPM_SAPI_H

#include <php.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/** Takes one pair; `to` is what came with the function. */
typedef void (*ephpm_pair_fn)(void *to, const char *name, const char *value);

/** What a script does to its response's headers. */
typedef enum ephpm_header_op {
    EPHPM_HEADER_ADD,           /* one more of this name */
    EPHPM_HEADER_REPLACE,       /* the only one of this name */
    EPHPM_HEADER_DELETE,        /* `value` is NULL */
    EPHPM_HEADER_DELETE_ALL     /* `name` is NULL too */
} ephpm_header_op_t;

/** A host.  `request` is what ephpm_request_t.host says.  An entry may be
 * NULL only where that is said. */
typedef struct ephpm_server {
    /** php_sapi_name().  Applications branch on it, and opcache switches
     * itself off under a name that it does not know. */
    const char *name;
    /** "Server API" of phpinfo(). */
    const char *title;

    /** Read up to `size_bytes` of the request's body, waiting for them.
     * @return fewer than asked for only at the body's end */
    size_t (*read_body)(void *request, char *buffer, size_t size_bytes);
    /** Send.  @return false: the client has gone */
    bool (*write)(void *request, const char *data, size_t size_bytes);
    /** Send on what write() kept.  @return false: the client has gone */
    bool (*flush)(void *request);

    /** A header changes.  Content-Type comes here as well.  NULL: the host
     * reads the headers with ephpm_response_headers() when they are sent. */
    void (*change_header)(void *request, ephpm_header_op_t op,
                          const char *name, const char *value);
    /** The headers are complete.
     * @param reason  the script's own reason phrase, or NULL */
    void (*send_headers)(void *request, int status, const char *reason);
    /** Send an interim response (103) with the headers so far.
     * @return false: not to this client.  NULL: the host cannot. */
    bool (*send_interim)(void *request, int status);
    /** Complete the response now; the script goes on without a client.
     * @return false: not for this request.  NULL: the host cannot. */
    bool (*finish)(void *request);

    /** The script has ended and all it began: what PHP still does is to give
     * back its memory.  NULL: the host waits for ephpm_request_end(). */
    void (*complete)(void *request);

    /** Pass what belongs into $_SERVER. */
    void (*each_variable)(void *request, ephpm_pair_fn pass, void *to);
    /** Pass the request's headers. */
    void (*each_request_header)(void *request, ephpm_pair_fn pass, void *to);
    /** Pass the response's headers.  NULL: those of the script alone. */
    void (*each_response_header)(void *request, ephpm_pair_fn pass, void *to);
    /** Is all of that in $_ENV and in the whole of getenv() as well, as it is
     * under php-fpm? */
    bool variables_in_env;
    /** A variable for getenv(), or NULL: look at the process's own. */
    const char *(*getenv)(void *request, const char *name);

    /** What stat() says of the script, if the host knows; saves a system
     * call.  NULL: it never knows. */
    bool (*script_stat)(void *request, struct stat *status);
    /** When the request arrived, in seconds since 1970. */
    double (*request_time)(void *request);

    /** Log one message.
     * @param request   NULL outside of requests
     * @param priority  as syslog's: LOG_ERR, LOG_WARNING, ...; -1 unknown */
    void (*log)(void *request, int priority, const char *message);
} ephpm_server_t;

/** One INI setting for one request. */
typedef struct ephpm_ini {
    const char *name;
    const char *value;
    bool admin;     /* the administrator's: ini_set() cannot change it */
    bool htaccess;  /* comes from a file that users may write */
    const char *file;   /* where it is written, for messages; NULL: nowhere */
    int line;           /* 0: `file` is a script, and a .user.ini has it */
} ephpm_ini_t;

/** What the host knows of a request.  Strings live until its end; NULL where
 * there is no such thing. */
typedef struct ephpm_request {
    void *host;                 /* passed to every call; not NULL */
    const char *method;
    const char *uri;            /* without the query */
    const char *query;
    const char *content_type;
    int64_t content_length;     /* 0: none, or not known beforehand */
    const char *cookies;
    const char *authorization;  /* the header, for PHP_AUTH_USER and so on */
    const char *user;           /* whom the server itself has authenticated */
    const char *script;         /* file */
    int protocol;               /* 1000 for HTTP/1.0, 1001 for HTTP/1.1 */
    int status;                 /* of the response, unless the script says */
    const char *host_name;      /* whose [HOST=] and [PATH=] sections of
                                 * php.ini count; NULL: none */
    const ephpm_ini_t *ini;
    size_t ini_count;
} ephpm_request_t;

/**
 * The version of the PHP library that this process has loaded.
 *
 * @return "8.2.36", or NULL: it does not say.  PHP need not be started.
 */
const char *ephpm_php_version(void);

/** "8.2": the versions whose library fits the headers compiled against. */
extern const char ephpm_php_series[];

/** Does `version` fit? */
bool ephpm_php_fits(const char *version);

/**
 * Start PHP, before the fork of the processes that run scripts.
 *
 * @param ini_path  php.ini or the directory it is in; NULL: as PHP was built
 * @param modules   extensions compiled into the host
 * @return false: PHP has said why through server->log or on stderr
 */
bool ephpm_sapi_startup(const ephpm_server_t *server, const char *ini_path,
                        zend_module_entry *const *modules, int module_count);

/** Stop PHP.  In the process that started it, or in its child to leave. */
void ephpm_sapi_shutdown(void);

/** To be called in each process that runs scripts, after its fork. */
void ephpm_sapi_child(void);

/**
 * Set a request up.  With a form, its body is read in here.
 *
 * @return false: PHP refused; ephpm_request_end() is due all the same
 */
bool ephpm_request_begin(const ephpm_request_t *request);

/**
 * Will PHP take this setting?  If not, the log is told why, once.
 * @return false: there is no such setting, or it is the administrator's
 */
bool ephpm_ini_check(const ephpm_ini_t *ini);

/**
 * Pass the settings of the .user.ini files in the directories from `root` to
 * the script's own, or of a script elsewhere in its own alone; the inner over
 * the outer.  They are read anew every user_ini.cache_ttl seconds.  What is
 * passed lives until the next call.
 */
void ephpm_user_ini_each(const char *root, const char *script,
                         ephpm_pair_fn pass, void *to);

/** Run a script. */
void ephpm_script_run(const char *file);

/** Show a script, coloured, instead. */
void ephpm_script_show(const char *file);

/**
 * Run a script inside the script that is running.
 *
 * @param ini  settings for that long
 * @return false: it ended the whole request (a fatal error).  When control
 *         is back in PHP, ephpm_request_resume() ends it there.
 */
bool ephpm_script_include(const char *file, const ephpm_ini_t *ini,
                          size_t ini_count);

/** End the request if ephpm_script_include() said so.  May longjmp. */
void ephpm_request_resume(void);

/** The host answers by itself: PHP sends neither headers nor output. */
void ephpm_request_discard(void);

/** Pass the headers that the script has set, one after the other. */
void ephpm_response_headers(ephpm_pair_fn pass, void *to);

/** End the request: everything PHP still has to say is said when this
 * returns. */
void ephpm_request_end(void);

/** Is a request between begin and end? */
bool ephpm_request_active(void);

/** Is this a process that the script has forked?  It has no client. */
bool ephpm_request_forked(void);

/** The most memory the request took so far, in bytes. */
size_t ephpm_request_memory(void);

#endif
