/* ephpm_socket_dial.c - addresses, connecting, the password's file. */

#include "ephpm_socket_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG_PAUSE_NS 10000000

static ephpm_socket_result_t refused(ephpm_socket_t *client, int error)
{
    return ephpm_socket_fail(client,
                             error == EACCES || error == EPERM
                                 ? EPHPM_SOCKET_FORBIDDEN
                                 : EPHPM_SOCKET_GONE,
                             "%s", strerror(error));
}

ephpm_socket_result_t ephpm_socket_silent(ephpm_socket_t *client)
{
    return ephpm_socket_fail(client, EPHPM_SOCKET_SILENT, "no answer in %g s",
                             client->timeout_ms / 1000.0);
}

/* Wait until a connection that is under way is made, or is not. */
static ephpm_socket_result_t wait_for(ephpm_socket_t *client, int fd,
                                      int64_t limit_ms)
{
    struct pollfd watched = { .fd = fd, .events = POLLOUT };
    socklen_t size = sizeof(int);
    int error = 0;

    for (;;) {
        int64_t left_ms = limit_ms - ephpm_socket_now_ms();
        int ready = poll(&watched, 1, left_ms > 0 ? (int)left_ms : 0);

        if (ready > 0) {
            break;
        }
        if (ready == 0 && left_ms <= 0) {
            return ephpm_socket_silent(client);
        }
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    return error == 0 ? EPHPM_SOCKET_DONE : refused(client, error);
}

static ephpm_socket_result_t connect_fd(ephpm_socket_t *client, int fd,
                                        const struct sockaddr *to,
                                        socklen_t to_bytes)
{
    int64_t limit_ms = ephpm_socket_now_ms() + client->timeout_ms;
    struct timespec pause = { 0, BACKLOG_PAUSE_NS };

    while (connect(fd, to, to_bytes) != 0) {
        if (errno == EINPROGRESS) {
            return wait_for(client, fd, limit_ms);
        }
        if (errno == EAGAIN && to->sa_family == AF_UNIX) {
            /* As many as there is room for wait to be accepted. */
            if (ephpm_socket_now_ms() >= limit_ms) {
                return ephpm_socket_silent(client);
            }
            clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        } else if (errno != EINTR) {
            return refused(client, errno);
        }
    }
    return EPHPM_SOCKET_DONE;
}

static ephpm_socket_result_t connect_to(ephpm_socket_t *client,
                                        const struct sockaddr *to,
                                        socklen_t to_bytes)
{
    ephpm_socket_result_t result;
    int on = 1;
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    0);

    if (fd < 0) {
        return refused(client, errno);
    }
    result = connect_fd(client, fd, to, to_bytes);
    if (result != EPHPM_SOCKET_DONE) {
        close(fd);
        return result;
    }
    if (to->sa_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    client->fd = fd;
    return EPHPM_SOCKET_DONE;
}

static ephpm_socket_result_t dial_unix(ephpm_socket_t *client,
                                       const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t length = strlen(path);

    if (length >= sizeof(to.sun_path)) {
        return ephpm_socket_fail(client, EPHPM_SOCKET_BAD_ADDRESS,
                                 "a socket's path has at most %zu bytes",
                                 sizeof(to.sun_path) - 1);
    }
    memcpy(to.sun_path, path, length + 1);
    return connect_to(client, (const struct sockaddr *)&to, sizeof(to));
}

static ephpm_socket_result_t bad_address(ephpm_socket_t *client)
{
    return ephpm_socket_fail(client, EPHPM_SOCKET_BAD_ADDRESS,
                             "this is no address: give unix:/PATH or "
                             "HOST:PORT");
}

/* "HOST:PORT" in two; a port is 1 to 65535. */
static bool split(const char *address, char host[256], char port[8])
{
    const char *colon = strrchr(address, ':');
    size_t host_bytes = colon != NULL ? (size_t)(colon - address) : 0;
    unsigned number = 0;

    if (host_bytes > 2 && address[0] == '[' && colon[-1] == ']') {
        address++;
        host_bytes -= 2;
    } else if (memchr(address, ':', host_bytes) != NULL) {
        return false;
    }
    if (host_bytes == 0 || host_bytes > 255 || strlen(colon + 1) > 5) {
        return false;
    }
    for (const char *digit = colon + 1; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return false;
        }
        number = number * 10 + (unsigned)(*digit - '0');
    }
    memcpy(host, address, host_bytes);
    host[host_bytes] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return number >= 1 && number <= 65535;
}

static ephpm_socket_result_t dial_host(ephpm_socket_t *client,
                                       const char *address)
{
    struct addrinfo wanted = { .ai_family = AF_UNSPEC,
                               .ai_socktype = SOCK_STREAM };
    ephpm_socket_result_t result = EPHPM_SOCKET_GONE;
    struct addrinfo *found;
    char host[256];
    char port[8];
    int error;

    if (!split(address, host, port)) {
        return bad_address(client);
    }
    error = getaddrinfo(host, port, &wanted, &found);
    if (error != 0) {
        return ephpm_socket_fail(client, EPHPM_SOCKET_GONE, "%s",
                                 gai_strerror(error));
    }
    for (struct addrinfo *to = found; to != NULL; to = to->ai_next) {
        result = connect_to(client, to->ai_addr, to->ai_addrlen);
        if (result == EPHPM_SOCKET_DONE) {
            break;
        }
    }
    freeaddrinfo(found);
    return result;
}

ephpm_socket_result_t ephpm_socket_dial(ephpm_socket_t *client)
{
    const char *address = client->address;

    if (strncmp(address, "unix:", 5) == 0) {
        return address[5] != '\0' ? dial_unix(client, address + 5)
                                  : bad_address(client);
    }
    return address[0] == '/' ? dial_unix(client, address)
                             : dial_host(client, address);
}

ephpm_socket_result_t ephpm_socket_password(
    ephpm_socket_t *client, char password[EPHPM_SOCKET_PASSWORD_ROOM],
    size_t *password_bytes)
{
    const char *end;
    size_t length = 0;
    ssize_t got = 0;
    int fd = open(client->password_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0) {
        do {
            got = read(fd, password + length,
                       EPHPM_SOCKET_PASSWORD_ROOM - length);
            length += got > 0 ? (size_t)got : 0;
        } while (got > 0 || (got < 0 && errno == EINTR));
    }
    if (fd < 0 || got < 0) {
        int error = errno;

        if (fd >= 0) {
            close(fd);
        }
        return ephpm_socket_fail(client, EPHPM_SOCKET_NO_PASSWORD,
                                 "the password's file %.150s: %s",
                                 client->password_file, strerror(error));
    }
    close(fd);
    end = memchr(password, '\n', length);
    if (end != NULL) {
        length = (size_t)(end - password);
        if (length > 0 && end[-1] == '\r') {
            length--;
        }
    }
    if (length == 0 || length > EPHPM_SOCKET_PASSWORD_MAX) {
        return ephpm_socket_fail(client, EPHPM_SOCKET_NO_PASSWORD,
            "the password's file %.150s: it %s", client->password_file,
            length == 0 ? "is empty" : "is too long; is it the right one?");
    }
    *password_bytes = length;
    return EPHPM_SOCKET_DONE;
}
