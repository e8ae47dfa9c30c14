/* resp_listen.c - addresses, and the sockets that listen on them. */

#include "resp_server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 511

static void say(char *error, size_t error_bytes, const char *address,
                const char *what)
{
    snprintf(error, error_bytes, "%s: %s", address, what);
}

/* Is there a socket file that nobody listens to? */
static bool is_left_over(const struct sockaddr_un *name)
{
    struct stat file;
    bool left;
    int fd;

    if (lstat(name->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode)) {
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    left = connect(fd, (const struct sockaddr *)name, sizeof(*name)) != 0
        && errno == ECONNREFUSED;
    close(fd);
    return left;
}

static void say_error(char *error, size_t error_bytes, const char *address)
{
    int number = errno;

    if (number == EADDRINUSE) {
        snprintf(error, error_bytes, "%s: %s: somebody else listens there%s",
                 address, strerror(number),
                 strncmp(address, "unix:", 5) == 0
                     ? ", or the file is no socket" : "");
    } else {
        say(error, error_bytes, address, strerror(number));
    }
}

/* Where to listen. */
typedef union place {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
} place_t;

static bool is_loopback(const place_t *place)
{
    if (place->any.sa_family == AF_INET) {
        return ntohl(place->in.sin_addr.s_addr) >> 24 == 127;
    }
    return place->any.sa_family == AF_UNIX
        || IN6_IS_ADDR_LOOPBACK(&place->in6.sin6_addr);
}

/* "HOST:PORT" into its parts; false: it is none. */
static bool split_address(const char *address, char *host, size_t host_bytes,
                          const char **port)
{
    const char *colon = strrchr(address, ':');
    size_t length;

    if (colon == NULL || colon == address || colon[1] == '\0'
        || strspn(colon + 1, "0123456789") != strlen(colon + 1)
        || strtoul(colon + 1, NULL, 10) > 65535) {
        return false;
    }
    length = (size_t)(colon - address);
    if (*address == '[') {
        if (length < 3 || colon[-1] != ']') {
            return false;
        }
        address++;
        length -= 2;
    }
    if (length >= host_bytes) {
        return false;
    }
    memcpy(host, address, length);
    host[length] = '\0';
    *port = colon + 1;
    return true;
}

/* @return the length of the place's name, or 0: why is in `error` */
static socklen_t parse(const char *address, bool has_password, place_t *place,
                       char *error, size_t error_bytes)
{
    struct addrinfo hints = {
        .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
        .ai_socktype = SOCK_STREAM
    };
    struct addrinfo *found = NULL;
    const char *port;
    socklen_t length;
    char host[64];

    memset(place, 0, sizeof(*place));
    if (strncmp(address, "unix:", 5) == 0) {
        const char *path = address + 5;

        if (*path == '\0' || strlen(path) >= sizeof(place->un.sun_path)) {
            say(error, error_bytes, address,
                "the path of a socket has 1 to 107 bytes");
            return 0;
        }
        place->un.sun_family = AF_UNIX;
        strcpy(place->un.sun_path, path);
        return sizeof(place->un);
    }
    if (!split_address(address, host, sizeof(host), &port)
        || getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                       port, &hints, &found) != 0) {
        say(error, error_bytes, address, "is no address: give one as "
            "127.0.0.1:6380, [::1]:6380 or unix:/path");
        return 0;
    }
    length = found->ai_addrlen;
    memcpy(place, found->ai_addr, length);
    freeaddrinfo(found);
    if (!has_password && !is_loopback(place)) {
        say(error, error_bytes, address, "can be reached from other machines "
            "and has no password: set one, or listen on 127.0.0.1");
        return 0;
    }
    return length;
}

bool resp_address_check(const char *address, bool has_password,
                        char *canonical, char *error, size_t error_bytes)
{
    place_t place;
    socklen_t length = parse(address, has_password, &place, error,
                             error_bytes);
    char host[64], port[8];

    if (length == 0) {
        return false;
    }
    if (place.any.sa_family == AF_UNIX) {
        snprintf(canonical, RESP_ADDRESS_BYTES, "unix:%s",
                 place.un.sun_path);
        return true;
    }
    if (getnameinfo(&place.any, length, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0
        || strcmp(port, "0") == 0) {
        say(error, error_bytes, address, "has no port from 1 to 65535");
        return false;
    }
    snprintf(canonical, RESP_ADDRESS_BYTES,
             place.any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
             port);
    return true;
}

/* The umask gives a socket file its mode, so that it is never open to more
 * than it shall be, and the name is not gone through again. */
static bool bind_place(int fd, const place_t *place, socklen_t length,
                       mode_t mode)
{
    mode_t mask;
    int yes = 1;
    int bound;

    if (place->any.sa_family != AF_UNIX) {
        return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes))
                   == 0
            && bind(fd, &place->any, length) == 0;
    }
    if (is_left_over(&place->un)) {
        unlink(place->un.sun_path);
    }
    mask = umask(0777 & ~mode);
    bound = bind(fd, &place->any, length);
    umask(mask);
    return bound == 0;
}

int resp_listen(const char *address, mode_t mode, bool has_password,
                char *error, size_t error_bytes)
{
    place_t place;
    socklen_t length = parse(address, has_password, &place, error,
                             error_bytes);
    int fd;

    if (length == 0) {
        return -1;
    }
    fd = socket(place.any.sa_family,
                SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !bind_place(fd, &place, length, mode)
        || listen(fd, BACKLOG) != 0) {
        say_error(error, error_bytes, address);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}
