/* resp_server.c - an event loop for connections of resp.h. */

#include "resp_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)64 << 10)
/* What a client is sent in one turn, and how many are accepted in one. */
#define TURN_BYTES ((size_t)1 << 20)
#define TURN_MS 5
#define TURN_CLIENTS 64
#define EVENTS 128
/* Longer answers are sent at once. */
#define SHORT_BYTES ((size_t)16 << 10)
#define TICK_MS 1000
/* How long it looks out for the next event before it sleeps, where the last
 * came as soon. */
#define LOOK_US 50
/* A pause in accepting while there are no descriptors. */
#define NO_FILES_MS 100
/* In a server that is leaving. */
#define DRAIN_TICK_MS 100
#define DRAIN_IDLE_MS 1000
/* Descriptors beside those of clients. */
#define OTHER_FILES 64u

/* What an event's pointer points to begins with one of these. */
typedef enum kind { KIND_WAKE, KIND_LISTENER, KIND_CLIENT } kind_t;

typedef struct listener {
    kind_t kind;
    int fd;
    resp_service_t *service;
    struct listener *next;
} listener_t;

typedef struct client {
    kind_t kind;
    int fd;
    resp_conn_t *conn;
    uint32_t interest;
    bool over;                 /* it sends no more */
    bool unfinished;           /* in the server's list of those */
    int64_t active_ms;
    struct client *before;     /* was active earlier */
    struct client *after;
    struct client *next;       /* unfinished, too */
} client_t;

enum { TOLD_NOTHING, TOLD_TO_DRAIN, TOLD_TO_STOP };

struct resp_server {
    kind_t wake_kind;
    int wake;                  /* eventfd */
    int epoll;
    unsigned clients_max;
    unsigned clients;
    int64_t idle_ms;           /* 0: never */
    void (*each_second)(void *context);
    void *context;
    int64_t second_ms;         /* when that is due */
    int64_t now_ms;
    atomic_int told;           /* TOLD_... */
    int64_t leaves_ms;         /* 0: not yet leaving */
    bool paused;               /* no descriptors: not accepting */
    bool soon;                 /* the last event came within LOOK_US */
    listener_t *listeners;
    client_t *first;           /* idle for longest */
    client_t *last;
    client_t *unfinished;      /* have more to run: RESP_MORE */
    client_t *dead;            /* closed in this round of events */
    client_t *unanswered[EVENTS];
    int unanswered_count;
    char chunk[CHUNK_BYTES];
};

static int64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

/* ------------------------------------------------------------------ */
/* Clients                                                             */

static void unlink_client(resp_server_t *server, client_t *client)
{
    if (client->before != NULL) {
        client->before->after = client->after;
    } else {
        server->first = client->after;
    }
    if (client->after != NULL) {
        client->after->before = client->before;
    } else {
        server->last = client->before;
    }
}

static void link_last(resp_server_t *server, client_t *client)
{
    client->active_ms = server->now_ms;
    client->before = server->last;
    client->after = NULL;
    if (server->last != NULL) {
        server->last->after = client;
    } else {
        server->first = client;
    }
    server->last = client;
}

static void touch(resp_server_t *server, client_t *client)
{
    if (server->last != client) {
        unlink_client(server, client);
        link_last(server, client);
    } else {
        client->active_ms = server->now_ms;
    }
}

/* It is not of those any more that have more to run. */
static void finish(resp_server_t *server, client_t *client)
{
    if (client->unfinished) {
        client_t **at = &server->unfinished;

        while (*at != client) {
            at = &(*at)->next;
        }
        *at = client->next;
        client->unfinished = false;
    }
}

static void unfinish(resp_server_t *server, client_t *client)
{
    if (!client->unfinished) {
        client->next = server->unfinished;
        server->unfinished = client;
        client->unfinished = true;
    }
}

/* Freed after the round: an event for it may be waiting. */
static void close_client(resp_server_t *server, client_t *client)
{
    unlink_client(server, client);
    finish(server, client);
    resp_conn_close(client->conn);
    close(client->fd);
    client->fd = -1;
    client->after = server->dead;
    server->dead = client;
    server->clients--;
}

static void bury(resp_server_t *server)
{
    while (server->dead != NULL) {
        client_t *next = server->dead->after;

        free(server->dead);
        server->dead = next;
    }
}

static bool want(resp_server_t *server, client_t *client, uint32_t interest)
{
    struct epoll_event event = { .events = interest };

    if (client->interest == interest) {
        return true;
    }
    event.data.ptr = client;
    client->interest = interest;
    return epoll_ctl(server->epoll, EPOLL_CTL_MOD, client->fd, &event) == 0;
}

/* Send what there is, for a turn, and see what to wait for then. */
static void answer(resp_server_t *server, client_t *client)
{
    resp_state_t state = resp_conn_state(client->conn);
    size_t turn = 0;
    size_t length = 0;
    const char *bytes;

    while (state != RESP_DROP && turn < TURN_BYTES
           && (length = resp_conn_output(client->conn, &bytes)) != 0) {
        ssize_t sent = send(client->fd, bytes,
                            length < TURN_BYTES ? length : TURN_BYTES,
                            MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (sent < 0) {
            state = RESP_DROP;
            break;
        }
        turn += (size_t)sent;
        state = resp_conn_sent(client->conn, (size_t)sent);
        touch(server, client);
        if (state == RESP_MORE) {
            break;
        }
    }
    length = state != RESP_DROP ? resp_conn_output(client->conn, &bytes) : 0;
    if (state == RESP_DROP
        || (length == 0 && (state == RESP_CLOSING
                            || (state == RESP_READ && client->over)))
        || !want(server, client,
                 (state == RESP_READ && !client->over ? EPOLLIN : 0)
                 | (length != 0 ? EPOLLOUT : 0))) {
        close_client(server, client);
    } else if (state == RESP_MORE) {
        unfinish(server, client);
    }
}

/* The next turn of those that had more to run. */
static void go_on(resp_server_t *server)
{
    client_t *list = server->unfinished;

    server->unfinished = NULL;
    while (list != NULL) {
        client_t *client = list;

        list = client->next;
        client->unfinished = false;
        touch(server, client);
        resp_conn_sent(client->conn, 0);
        answer(server, client);
    }
}

/* Those who have asked for little in this round get it together: one who
 * sleeps until there are answers finds several, and wakes up once. */
static void answer_all(resp_server_t *server)
{
    for (int i = 0; i < server->unanswered_count; i++) {
        if (server->unanswered[i]->fd >= 0) {
            answer(server, server->unanswered[i]);
        }
    }
    server->unanswered_count = 0;
}

/* Now or at the round's end; but nobody waits for long because of another's
 * requests. */
static void answer_soon(resp_server_t *server, client_t *client)
{
    const char *bytes;

    if (resp_conn_state(client->conn) != RESP_READ
        || resp_conn_output(client->conn, &bytes) > SHORT_BYTES) {
        answer(server, client);
    } else {
        server->unanswered[server->unanswered_count++] = client;
    }
    if (server->unanswered_count == EVENTS
        || clock_ms() != server->now_ms) {
        answer_all(server);
    }
}

static void serve(resp_server_t *server, client_t *client, uint32_t events)
{
    if ((events & (EPOLLERR | EPOLLHUP)) != 0
        && (client->interest & EPOLLIN) == 0) {
        /* It is gone, and will not take what there is for it. */
        close_client(server, client);
        return;
    }
    if ((client->interest & EPOLLIN) != 0
        && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
        ssize_t got = recv(client->fd, server->chunk, CHUNK_BYTES, 0);

        if (got == 0 && (events & (EPOLLERR | EPOLLHUP)) == 0) {
            /* What it has asked for it is still told. */
            client->over = true;
        } else if (got == 0 || (got < 0 && errno != EAGAIN
                                && errno != EWOULDBLOCK && errno != EINTR)) {
            close_client(server, client);
            return;
        }
        if (got > 0) {
            touch(server, client);
            resp_conn_feed(client->conn, server->chunk, (size_t)got);
            answer_soon(server, client);
            return;
        }
    }
    answer(server, client);
}

static void refuse(int fd)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    ssize_t ignored = send(fd, text, sizeof(text) - 1,
                           MSG_NOSIGNAL | MSG_DONTWAIT);

    (void)ignored;
    close(fd);
}

static void admit(resp_server_t *server, const listener_t *listener, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    client_t *client;
    int yes = 1;

    if (server->clients >= server->clients_max) {
        refuse(fd);
        return;
    }
    client = calloc(1, sizeof(*client));
    if (client == NULL
        || (client->conn = resp_conn_open(listener->service)) == NULL) {
        free(client);
        close(fd);
        return;
    }
    client->kind = KIND_CLIENT;
    client->fd = fd;
    client->interest = EPOLLIN;
    event.data.ptr = client;
    /* Not for sockets that are files, where both fail. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        resp_conn_close(client->conn);
        free(client);
        close(fd);
        return;
    }
    link_last(server, client);
    server->clients++;
}

static void listen_to(resp_server_t *server, bool accepting)
{
    for (listener_t *at = server->listeners; at != NULL; at = at->next) {
        struct epoll_event event = { .events = accepting ? EPOLLIN : 0 };

        event.data.ptr = at;
        epoll_ctl(server->epoll, EPOLL_CTL_MOD, at->fd, &event);
    }
    server->paused = !accepting;
}

static void accept_clients(resp_server_t *server, const listener_t *listener)
{
    for (int i = 0; i < TURN_CLIENTS; i++) {
        int fd = accept4(listener->fd, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            admit(server, listener, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS
                   || errno == ENOMEM) {
            listen_to(server, false);
            return;
        } else if (errno == EINVAL) {
            /* Somebody has shut it down. */
            epoll_ctl(server->epoll, EPOLL_CTL_DEL, listener->fd, NULL);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

static void close_idle(resp_server_t *server)
{
    while (server->idle_ms != 0 && server->first != NULL
           && server->now_ms - server->first->active_ms >= server->idle_ms) {
        close_client(server, server->first);
    }
}

/* ------------------------------------------------------------------ */
/* The end                                                             */

static void drop_listeners(resp_server_t *server)
{
    while (server->listeners != NULL) {
        listener_t *next = server->listeners->next;

        /* Where others have the socket too, closing alone would not do. */
        epoll_ctl(server->epoll, EPOLL_CTL_DEL, server->listeners->fd, NULL);
        close(server->listeners->fd);
        free(server->listeners);
        server->listeners = next;
    }
}

/* From the one that is idle for longest. */
static void close_finished(resp_server_t *server)
{
    client_t *client = server->first;

    while (client != NULL
           && server->now_ms - client->active_ms >= DRAIN_IDLE_MS) {
        client_t *next = client->after;
        const char *bytes;

        if (resp_conn_output(client->conn, &bytes) == 0) {
            close_client(server, client);
        }
        client = next;
    }
}

/* @return false: everybody has left */
static bool drain(resp_server_t *server)
{
    if (server->leaves_ms == 0) {
        drop_listeners(server);
        server->paused = false;
        server->leaves_ms = server->now_ms + RESP_DRAIN_SECONDS * 1000;
    }
    close_finished(server);
    return server->first != NULL && server->now_ms < server->leaves_ms;
}

/* ------------------------------------------------------------------ */
/* The server                                                          */

/* As many descriptors as there may be clients, where that is allowed. */
static void raise_files(unsigned clients_max)
{
    rlim_t wanted = (rlim_t)clients_max + OTHER_FILES;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

resp_server_t *resp_server_create(const resp_server_settings_t *settings)
{
    resp_server_t *server = calloc(1, sizeof(*server));
    struct epoll_event event = { .events = EPOLLIN };

    if (server == NULL) {
        return NULL;
    }
    server->wake_kind = KIND_WAKE;
    server->clients_max = settings != NULL && settings->clients_max != 0
        ? settings->clients_max : 10000;
    raise_files(server->clients_max);
    server->idle_ms = settings != NULL
        ? (int64_t)settings->idle_seconds * 1000 : 0;
    if (settings != NULL) {
        server->each_second = settings->each_second;
        server->context = settings->context;
    }
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    event.data.ptr = server;
    if (server->epoll < 0 || server->wake < 0
        || epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->wake, &event)
            != 0) {
        resp_server_destroy(server);
        return NULL;
    }
    return server;
}

void resp_server_destroy(resp_server_t *server)
{
    int error = errno;

    if (server == NULL) {
        return;
    }
    while (server->first != NULL) {
        close_client(server, server->first);
    }
    bury(server);
    drop_listeners(server);
    if (server->epoll >= 0) {
        close(server->epoll);
    }
    if (server->wake >= 0) {
        close(server->wake);
    }
    free(server);
    errno = error;
}

bool resp_server_add(resp_server_t *server, int fd, resp_service_t *service)
{
    struct epoll_event event = { .events = EPOLLIN };
    listener_t *listener = malloc(sizeof(*listener));

    if (listener == NULL) {
        return false;
    }
    event.data.ptr = listener;
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(listener);
        return false;
    }
    listener->kind = KIND_LISTENER;
    listener->fd = fd;
    listener->service = service;
    resp_service_set_turn(service, TURN_MS);
    listener->next = server->listeners;
    server->listeners = listener;
    return true;
}

/* What was said is in `told`. */
static void hear(const resp_server_t *server)
{
    uint64_t count;
    ssize_t ignored = read(server->wake, &count, sizeof(count));

    (void)ignored;
}

static void handle(resp_server_t *server, const struct epoll_event *event)
{
    client_t *client = event->data.ptr;

    switch (*(const kind_t *)event->data.ptr) {
    case KIND_WAKE:
        hear(server);
        break;
    case KIND_LISTENER:
        accept_clients(server, event->data.ptr);
        break;
    case KIND_CLIENT:
        if (client->fd >= 0) {
            serve(server, client, event->events);
        }
        break;
    }
}

/* To wake who sleeps costs the client as much as some commands cost here.  So
 * where one event follows close upon another it is waited for awake, without
 * keeping the processor from anybody. */
static int await(resp_server_t *server, struct epoll_event *events, int ms)
{
    int64_t from_us = clock_us();
    int count = 0;

    while (server->soon && ms > 0) {
        count = epoll_wait(server->epoll, events, EVENTS, 0);
        if (count != 0) {
            return count;
        }
        if (clock_us() - from_us >= LOOK_US) {
            break;
        }
        sched_yield();
    }
    count = epoll_wait(server->epoll, events, EVENTS, ms);
    server->soon = clock_us() - from_us < LOOK_US;
    return count;
}

bool resp_server_run(resp_server_t *server)
{
    int told;

    server->now_ms = clock_ms();
    while ((told = atomic_load(&server->told)) != TOLD_TO_STOP) {
        struct epoll_event events[EVENTS];
        int count;

        if (told == TOLD_TO_DRAIN && !drain(server)) {
            break;
        }
        if (server->each_second != NULL
            && server->now_ms >= server->second_ms) {
            server->second_ms = server->now_ms + TICK_MS;
            server->each_second(server->context);
        }
        count = await(server, events,
                      server->unfinished != NULL ? 0
                      : told == TOLD_TO_DRAIN ? DRAIN_TICK_MS
                      : server->paused ? NO_FILES_MS : TICK_MS);

        if (count < 0 && errno != EINTR) {
            return false;
        }
        server->now_ms = clock_ms();
        if (server->paused) {
            listen_to(server, true);
        }
        for (int i = 0; i < count; i++) {
            handle(server, &events[i]);
        }
        answer_all(server);
        go_on(server);
        close_idle(server);
        bury(server);
    }
    return true;
}

static void wake_up(resp_server_t *server)
{
    uint64_t one = 1;
    ssize_t ignored = write(server->wake, &one, sizeof(one));

    (void)ignored;
}

void resp_server_stop(resp_server_t *server)
{
    int error = errno;

    atomic_store(&server->told, TOLD_TO_STOP);
    wake_up(server);
    errno = error;
}

void resp_server_drain(resp_server_t *server)
{
    int nothing = TOLD_NOTHING;
    int error = errno;

    /* An order to stop stays one. */
    atomic_compare_exchange_strong(&server->told, &nothing, TOLD_TO_DRAIN);
    wake_up(server);
    errno = error;
}
