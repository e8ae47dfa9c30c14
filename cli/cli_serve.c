/* cli_serve.c - finds what a server needs, prepares a run, runs it. */

#define _GNU_SOURCE

#include "cli_serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define REDIS_PASSWORD_FILE "redis-password"

const char *const cli_types[][2] = {
    {"text/html", "html"},        {"text/css", "css"},
    {"text/javascript", "js"},    {"application/json", "json"},
    {"image/svg+xml", "svg"},     {"image/png", "png"},
    {"image/jpeg", "jpg jpeg"},   {"image/gif", "gif"},
    {"image/webp", "webp"},       {"image/x-icon", "ico"},
    {"font/woff2", "woff2"},      {"text/plain", "txt"},
    {"application/wasm", "wasm"}, {"application/pdf", "pdf"},
    {NULL, NULL},
};

static int complain(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int complain(int code, const char *format, ...)
{
    va_list arguments;

    fputs("ephpm: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

char *cli_join(const char *folder, const char *name)
{
    char *path;

    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        exit(complain(EX_OSERR, "out of memory"));
    }
    return path;
}

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* ------------------------------------------------------------------ */
/* What is where                                                       */

static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    char *folders = strdup(path != NULL ? path : "/usr/sbin:/usr/bin");
    char *rest = folders;
    char *folder;
    char *found = NULL;

    while (found == NULL && (folder = strsep(&rest, ":")) != NULL) {
        char *file = cli_join(folder[0] == '\0' ? "." : folder, name);

        if (access(file, X_OK) == 0 && is_file(file)) {
            found = file;
        } else {
            free(file);
        }
    }
    free(folders);
    return found;
}

static int find_server(const cli_places_t *places, cli_host_t *host)
{
    const cli_server_t *server = places->server;
    size_t i;

    host->server = server;
    if (places->program != NULL) {
        if (access(places->program, X_OK) != 0 || !is_file(places->program)) {
            return complain(EX_NOINPUT, "--%s: %s is no program: %s",
                            server->name, places->program, strerror(errno));
        }
        host->program = strdup(places->program);
    } else if (is_file(server->program)) {
        host->program = strdup(server->program);
    }
    for (i = 0; host->program == NULL && server->programs[i] != NULL; i++) {
        host->program = find_program(server->programs[i]);
    }
    if (host->program == NULL) {
        return complain(EX_UNAVAILABLE, "%s was not found: apt-get install %s",
                        server->name, server->package);
    }
    return 0;
}

/* In the build directory this program is cli/ephpm. */
static char *built_module(const char *name)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;
    char *file = NULL;

    if (length <= 0) {
        return NULL;
    }
    self[length] = '\0';
    slash = strrchr(self, '/');
    *slash = '\0';
    slash = strrchr(self, '/');
    if (slash != NULL && strcmp(slash, "/cli") == 0) {
        *slash = '\0';
        file = cli_join(self, name);
        if (!is_file(file)) {
            free(file);
            file = NULL;
        }
    }
    return file;
}

static int find_module(const cli_places_t *places, cli_host_t *host)
{
    const cli_server_t *server = places->server;

    if (places->module_dir == NULL) {
        host->module = built_module(server->module_built);
        if (host->module != NULL) {
            return 0;
        }
    }
    {
        const char *folder = places->module_dir != NULL ? places->module_dir
                                                        : server->module_dir;
        char *file = cli_join(folder, server->module);

        host->module = realpath(file, NULL);
        free(file);
        if (host->module == NULL) {
            return complain(EX_UNAVAILABLE,
                            "%s has no %s: install it (make install) or name "
                            "its folder with --module-dir",
                            folder, server->module);
        }
    }
    return 0;
}

/* ------------------------------------------------------------------ */
/* Who runs the scripts, and may he read them                          */

static int find_user(cli_host_t *host, struct passwd **account)
{
    static const char *const names[] = {
        "www-data", "apache", "httpd", "http", "nobody",
    };
    struct group *group;
    size_t i;

    *account = NULL;
    if (geteuid() != 0) {
        return 0;
    }
    for (i = 0; *account == NULL && i < sizeof(names) / sizeof(*names); i++) {
        *account = getpwnam(names[i]);
    }
    group = *account == NULL ? NULL : getgrgid((*account)->pw_gid);
    if (group == NULL) {
        return complain(EX_NOUSER, "there is no user to run scripts as: "
                                   "none of www-data, apache, httpd, http, "
                                   "nobody exists");
    }
    host->user = strdup((*account)->pw_name);
    host->group = strdup(group->gr_name);
    return 0;
}

/* A child looks, with the eyes of the user: root sees everything.  It reports
 * the first folder on the way that is closed to it. */
static int check_readable(const char *path, const struct passwd *account)
{
    int report[2];
    char blocked[PATH_MAX] = "";
    ssize_t length;
    pid_t child;

    if (pipe2(report, O_CLOEXEC) != 0 || (child = fork()) < 0) {
        return complain(EX_OSERR, "cannot start a process: %s",
                        strerror(errno));
    }
    if (child == 0) {
        const char *slash = path;

        if (account != NULL &&
            (initgroups(account->pw_name, account->pw_gid) != 0 ||
             setgid(account->pw_gid) != 0 || setuid(account->pw_uid) != 0)) {
            _exit(1);
        }
        do {
            size_t prefix;

            slash = strchr(slash + 1, '/');
            prefix = slash == NULL ? strlen(path) : (size_t)(slash - path);
            memcpy(blocked, path, prefix);
            blocked[prefix] = '\0';
            if (access(blocked, slash == NULL ? R_OK | X_OK : X_OK) != 0) {
                _exit(write(report[1], blocked, prefix) < 0);
            }
        } while (slash != NULL);
        _exit(0);
    }
    close(report[1]);
    length = read(report[0], blocked, sizeof(blocked) - 1);
    close(report[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    if (length > 0) {
        blocked[length] = '\0';
        return complain(EX_NOPERM,
                        "document_root: the scripts run as %s, to whom the "
                        "folder %s is closed; open it (chmod o+rx), or put "
                        "the application where that user can read it%s",
                        account != NULL ? account->pw_name : "you", blocked,
                        account != NULL ? ", or start as another user" : "");
    }
    return 0;
}

static int check_document_root(cli_config_t *config,
                               const struct passwd *account)
{
    struct stat status;
    char *real;

    if (config->document_root == NULL) {
        return complain(EX_USAGE, "no document root: give --document-root "
                                  "DIR, or document_root in [server] of the "
                                  "configuration file");
    }
    real = realpath(config->document_root, NULL);
    if (real == NULL || stat(real, &status) != 0) {
        return complain(EX_NOINPUT, "document_root: %s: %s",
                        config->document_root, strerror(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        return complain(EX_NOINPUT, "document_root: %s is not a folder",
                        real);
    }
    free(config->document_root);
    config->document_root = real;
    return check_readable(real, account);
}

/* ------------------------------------------------------------------ */
/* The run                                                             */

/* The server says it too, but late, and in its own words. */
static int check_port(const char *address, unsigned number,
                      const char *what, const char *advice)
{
    struct addrinfo hints = {
        .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *found;
    const char *given = address;
    char host[64];
    char port[16];
    int yes = 1;
    int rc = 0;
    int fd;

    snprintf(port, sizeof(port), "%u", number);
    if (address[0] == '[') {
        snprintf(host, sizeof(host), "%.*s", (int)strlen(address) - 2,
                 address + 1);
        address = host;
    }
    if (getaddrinfo(address[0] == '*' ? NULL : address, port, &hints,
                    &found) != 0) {
        return 0;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (bind(fd, found->ai_addr, found->ai_addrlen) != 0) {
            rc = complain(errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE,
                          "%s: %s:%u: %s; choose another%s", what, given,
                          number, strerror(errno), advice);
        }
        close(fd);
    }
    freeaddrinfo(found);
    return rc;
}

static int check_redis(const cli_config_t *config, const cli_host_t *host)
{
    char *why = NULL;

    if (config->redis.enabled && host->server->redis_refusal != NULL) {
        why = host->server->redis_refusal(host);
    }
    if (why == NULL) {
        return 0;
    }
    complain(EX_UNAVAILABLE, "[kv.redis_compat] needs %s", why);
    free(why);
    return EX_UNAVAILABLE;
}

static int check_ports(const cli_config_t *config)
{
    const cli_redis_t *redis = &config->redis;
    int rc = check_port(config->listen_address, config->listen_port, "listen",
                        " with --listen");

    if (rc == 0 && redis->enabled && redis->listen_address != NULL) {
        rc = check_port(redis->listen_address, redis->listen_port,
                        "[kv.redis_compat] listen", "");
    }
    return rc;
}

/* May everybody go through the folder and those above it? */
static bool is_open(const char *folder)
{
    char *path = realpath(folder, NULL);
    struct stat status;
    bool open = path != NULL;

    while (open) {
        char *slash = strrchr(path, '/');

        open = stat(path[0] == '\0' ? "/" : path, &status) == 0 &&
               (status.st_mode & S_IXOTH) != 0;
        if (slash == NULL) {
            break;
        }
        *slash = '\0';
    }
    free(path);
    return open;
}

static int make_runtime_dir(cli_host_t *host)
{
    const char *const parents[] = {
        getenv("XDG_RUNTIME_DIR"),
        geteuid() == 0 ? "/run" : NULL,
        getenv("TMPDIR"),
        "/tmp",
    };
    /* nginx's workers have to get to their own folders in it. */
    bool shared = host->user != NULL && host->server->folders[0] != NULL;
    size_t i;

    for (i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        if (parents[i] == NULL || parents[i][0] != '/' ||
            strpbrk(parents[i], "\n\r") != NULL ||
            strstr(parents[i], "${") != NULL ||
            (shared && !is_open(parents[i]))) {
            continue;
        }
        host->runtime_dir = cli_join(parents[i], "ephpm-XXXXXX");
        if (mkdtemp(host->runtime_dir) != NULL) {
            if (shared) {
                chmod(host->runtime_dir, 0711);
            }
            return 0;
        }
        free(host->runtime_dir);
        host->runtime_dir = NULL;
    }
    return complain(EX_CANTCREAT, "no run-time directory can be made under "
                                  "/tmp: %s; name another with TMPDIR",
                    strerror(errno));
}

/* What users of a lower rank may write in: follows no link. */
static void remove_folder(int parent, const char *name)
{
    int fd = openat(parent, name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (folder != NULL) {
        while ((entry = readdir(folder)) != NULL) {
            unlinkat(fd, entry->d_name, 0);
        }
        closedir(folder);
    } else if (fd >= 0) {
        close(fd);
    }
    unlinkat(parent, name, AT_REMOVEDIR);
}

static void remove_runtime_dir(const cli_host_t *host)
{
    int fd = open(host->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t i;

    if (fd >= 0) {
        unlinkat(fd, host->server->config, 0);
        unlinkat(fd, host->server->pid_file, 0);
        unlinkat(fd, REDIS_PASSWORD_FILE, 0);
        for (i = 0; host->server->folders[i] != NULL; i++) {
            remove_folder(fd, host->server->folders[i]);
        }
        close(fd);
    }
    rmdir(host->runtime_dir);
}

static void look_at_stderr(cli_host_t *host)
{
    int fd = open(CLI_STDERR, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);

    host->log_opens = fd >= 0;
    if (fd >= 0) {
        close(fd);
    }
}

/* A file, for command lines and configurations are shown about. */
static int write_password(const cli_config_t *config, cli_host_t *host)
{
    const char *password = config->redis.password;
    char *file;
    FILE *out;
    int fd;

    if (!config->redis.enabled || password == NULL) {
        return 0;
    }
    file = cli_join(host->runtime_dir, REDIS_PASSWORD_FILE);
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    out = fd < 0 ? NULL : fdopen(fd, "w");
    if (out == NULL) {
        return complain(EX_CANTCREAT, "%s: %s", file, strerror(errno));
    }
    fprintf(out, "%s\n", password);
    if (fclose(out) != 0) {
        return complain(EX_IOERR, "%s: %s", file, strerror(errno));
    }
    host->redis_password_file = file;
    return 0;
}

static int write_config(const cli_config_t *config, const cli_host_t *host,
                        const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    int failed;

    if (out == NULL) {
        return complain(EX_CANTCREAT, "%s: %s", file, strerror(errno));
    }
    failed = host->server->write(out, config, host);
    if (fclose(out) != 0 || failed != 0) {
        return complain(EX_IOERR, "%s: %s", file, strerror(errno));
    }
    return 0;
}

/* In the child: the server gets a process group of its own.  When httpd stops
 * it signals its whole group, which would hit whoever started us; and it takes
 * SIGWINCH, which a terminal sends to the group in front when its window
 * changes, for the order to stop. */
static void become_server(const cli_host_t *host, const char *file,
                         pid_t parent, const sigset_t *mask)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(EX_OSERR);
    }
    sigprocmask(SIG_SETMASK, mask, NULL);
    host->server->exec(host, file);
    _exit(complain(EX_OSERR, "%s cannot be run: %s", host->program,
                   strerror(errno)));
}

/* Run the server until it ends, passing on what we are told. */
static int run_server(const cli_host_t *host, const char *file)
{
    static const int heard[] = {
        SIGCHLD, SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1,
    };
    sigset_t signals;
    sigset_t old;
    const struct timespec again = {.tv_sec = 1};
    bool stopping = false;
    pid_t self = getpid();
    pid_t child;
    int status;
    size_t i;

    sigemptyset(&signals);
    for (i = 0; i < sizeof(heard) / sizeof(heard[0]); i++) {
        sigaddset(&signals, heard[i]);
    }
    /* An ignored SIGCHLD would take the exit status away. */
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &signals, &old);
    child = fork();
    if (child == 0) {
        become_server(host, file, self, &old);
    }
    if (child < 0) {
        return complain(EX_OSERR, "cannot start a process: %s",
                        strerror(errno));
    }
    for (;;) {
        int told = stopping ? sigtimedwait(&signals, NULL, &again)
                            : sigwaitinfo(&signals, NULL);

        if (waitpid(child, &status, WNOHANG) == child) {
            break;
        }
        if (told == SIGUSR1) {
            kill(child, host->server->reload_signal);
        } else if (told != SIGCHLD && (told > 0 || errno == EAGAIN)) {
            /* httpd loses what arrives while it reads its configuration
             * again, so a server is told until it ends. */
            stopping = true;
            kill(child, SIGTERM);
        }
    }
    if (WIFSIGNALED(status)) {
        return complain(EX_SOFTWARE, "%s was ended by signal %d (%s)",
                        host->server->name, WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    return WEXITSTATUS(status);
}

int cli_serve(cli_config_t *config, const cli_places_t *places)
{
    cli_host_t host = {0};
    struct passwd *account;
    char *file;
    int rc;

    if ((rc = find_user(&host, &account)) != 0 ||
        (rc = check_document_root(config, account)) != 0 ||
        (rc = find_server(places, &host)) != 0 ||
        (rc = find_module(places, &host)) != 0 ||
        (rc = check_redis(config, &host)) != 0 ||
        (rc = check_ports(config)) != 0 ||
        (rc = make_runtime_dir(&host)) != 0) {
        return rc;
    }
    look_at_stderr(&host);
    file = cli_join(host.runtime_dir, host.server->config);
    rc = write_password(config, &host);
    if (rc == 0) {
        rc = write_config(config, &host, file);
    }
    if (rc == 0) {
        fprintf(stderr, "ephpm: %s at http://%s:%u/ (Ctrl-C stops it)\n",
                config->document_root,
                config->listen_address[0] == '*' ? "localhost"
                                                 : config->listen_address,
                config->listen_port);
        rc = run_server(&host, file);
    }
    remove_runtime_dir(&host);
    return rc;
}
