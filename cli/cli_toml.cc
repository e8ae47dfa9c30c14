/* cli_toml.cc - reads ephpm.toml.
 *
 * Every key that is not in the table below is an error with its line, so a
 * misspelt key, or one of a later version, is never silently ignored.
 */

#include "cli_config.h"

#include <sysexits.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace
{

/* What ends the reading of a file. */
struct failure {
    toml::source_position where;
    std::string what;
};

/* One value on its way to its setter. */
struct setting {
    cli_config_t *config;
    std::string key;           /* "server.listen", for messages */
    std::string base;          /* the file's folder */
    const toml::node &node;

    [[noreturn]] void fail(const std::string &what) const
    {
        throw failure{node.source().begin, what};
    }

    std::string text() const
    {
        const auto *value = node.as_string();
        if (value == nullptr) {
            fail(key + " must be a string in quotes");
        }
        return without_nul(value->get());
    }

    bool flag() const
    {
        const auto *value = node.as_boolean();
        if (value == nullptr) {
            fail(key + " must be true or false");
        }
        return value->get();
    }

    std::vector<std::string> list() const
    {
        std::vector<std::string> values;
        const auto *array = node.as_array();
        if (array == nullptr) {
            fail(key + " must be a list of strings, such as [\"a\", \"b\"]");
        }
        for (const auto &item : *array) {
            const auto *value = item.as_string();
            if (value == nullptr) {
                fail(key + " must be a list of strings, such as "
                           "[\"a\", \"b\"]");
            }
            values.push_back(without_nul(value->get()));
        }
        return values;
    }

  private:
    std::string without_nul(const std::string &value) const
    {
        if (value.find('\0') != std::string::npos) {
            fail(key + " contains a NUL character");
        }
        return value;
    }
};

using list_setter = bool (*)(cli_config_t *, const char *const *, size_t,
                             char *);
using text_setter = bool (*)(cli_config_t *, const char *, char *);

void set_text(const setting &from, text_setter setter)
{
    char error[CLI_ERROR_BYTES];

    if (!setter(from.config, from.text().c_str(), error)) {
        from.fail(error);
    }
}

void set_list(const setting &from, list_setter setter)
{
    const std::vector<std::string> values = from.list();
    std::vector<const char *> pointers;
    char error[CLI_ERROR_BYTES];

    for (const auto &value : values) {
        pointers.push_back(value.c_str());
    }
    if (!setter(from.config, pointers.data(), pointers.size(), error)) {
        from.fail(error);
    }
}

/* A lone string is the last step after the usual two. */
void set_fallback(const setting &from)
{
    if (!from.node.is_string()) {
        set_list(from, cli_fallback_set);
        return;
    }
    const std::string last = from.text();
    const char *const steps[] = {"$uri", "$uri/", last.c_str()};
    char error[CLI_ERROR_BYTES];

    if (!cli_fallback_set(from.config, steps, 3, error)) {
        from.fail(error);
    }
}

void set_document_root(const setting &from)
{
    char error[CLI_ERROR_BYTES];

    if (!cli_document_root_set(from.config, from.text().c_str(),
                               from.base.c_str(), error)) {
        from.fail(error);
    }
}

void set_redis_socket(const setting &from)
{
    char error[CLI_ERROR_BYTES];

    if (!cli_redis_socket_set(from.config, from.text().c_str(),
                              from.base.c_str(), error)) {
        from.fail(error);
    }
}

struct known_key {
    const char *section;
    const char *key;
    void (*apply)(const setting &);
};

const known_key known_keys[] = {
    {"server", "listen",
     [](const setting &from) { set_text(from, cli_listen_set); }},
    {"server", "document_root", set_document_root},
    {"server", "index_files",
     [](const setting &from) { set_list(from, cli_index_files_set); }},
    {"server", "fallback", set_fallback},
    {"kv", "memory_limit",
     [](const setting &from) { set_text(from, cli_kv_memory_set); }},
    {"kv", "eviction_policy",
     [](const setting &from) { set_text(from, cli_kv_eviction_set); }},
    {"kv.redis_compat", "enabled",
     [](const setting &from) { from.config->redis.enabled = from.flag(); }},
    {"kv.redis_compat", "listen",
     [](const setting &from) { set_text(from, cli_redis_listen_set); }},
    {"kv.redis_compat", "socket", set_redis_socket},
    {"kv.redis_compat", "password",
     [](const setting &from) { set_text(from, cli_redis_password_set); }},
};

std::string names_of(const char *section)
{
    std::string names;

    for (const auto &known : known_keys) {
        if (std::strcmp(known.section, section) == 0) {
            names += (names.empty() ? "" : ", ") + std::string(known.key);
        }
    }
    return names;
}

void read_section(const std::string &section, const toml::table &table,
                  const std::string &base, cli_config_t *config)
{
    for (const auto &[key, node] : table) {
        const std::string name(key.str());
        const std::string inner = section + "." + name;
        const known_key *found = nullptr;

        if (!names_of(inner.c_str()).empty()) {
            if (!node.is_table()) {
                throw failure{key.source().begin,
                              inner + " must be a section: [" + inner + "]"};
            }
            read_section(inner, *node.as_table(), base, config);
            continue;
        }
        for (const auto &known : known_keys) {
            if (section == known.section && name == known.key) {
                found = &known;
            }
        }
        if (found == nullptr) {
            throw failure{key.source().begin,
                          "unknown key \"" + name + "\" in [" + section +
                              "] (known: " + names_of(section.c_str()) +
                              ")"};
        }
        found->apply(setting{config, section + "." + name, base, node});
    }
}

void read_document(const toml::table &document, const std::string &base,
                   cli_config_t *config)
{
    for (const auto &[key, node] : document) {
        const std::string name(key.str());

        if (names_of(name.c_str()).empty()) {
            throw failure{key.source().begin,
                          "unknown " +
                              std::string(node.is_table() ? "section [" +
                                              name + "]"
                                          : "key \"" + name + "\"") +
                              " (sections: server, kv)"};
        }
        if (!node.is_table()) {
            throw failure{key.source().begin,
                          name + " must be a section: [" + name + "]"};
        }
        read_section(name, *node.as_table(), base, config);
    }
}

}

extern "C" int cli_toml_read(const char *file, cli_config_t *config,
                             char error[CLI_ERROR_BYTES])
{
    const char *slash = std::strrchr(file, '/');

    try {
        std::ifstream in(file, std::ios::binary);
        std::stringstream text;

        if (!in) {
            cli_error(error, "%s: cannot be read: %s", file,
                      std::strerror(errno));
            return EX_NOINPUT;
        }
        /* A folder opens like a file, and only its reading fails. */
        errno = 0;
        in.peek();
        if (errno != 0) {
            cli_error(error, "%s: cannot be read: %s", file,
                      std::strerror(errno));
            return EX_NOINPUT;
        }
        in.clear();
        text << in.rdbuf();
        if (in.bad() || text.bad()) {
            cli_error(error, "%s: cannot be read", file);
            return EX_NOINPUT;
        }
        read_document(toml::parse(text.str(), std::string_view(file)),
                      slash == nullptr ? std::string(".")
                      : slash == file
                          ? std::string("/")
                          : std::string(file, static_cast<size_t>(
                                                  slash - file)),
                      config);
        char wrong[CLI_ERROR_BYTES];
        if (!cli_config_complete(config, wrong)) {
            cli_error(error, "%s: %s", file, wrong);
            return EX_CONFIG;
        }
    } catch (const failure &caught) {
        cli_error(error, "%s:%u: %s", file,
                  static_cast<unsigned>(caught.where.line),
                  caught.what.c_str());
        return EX_CONFIG;
    } catch (const toml::parse_error &caught) {
        cli_error(error, "%s:%u: not TOML: %s", file,
                  static_cast<unsigned>(caught.source().begin.line),
                  std::string(caught.description()).c_str());
        return EX_CONFIG;
    } catch (const std::exception &caught) {
        cli_error(error, "%s: %s", file, caught.what());
        return EX_SOFTWARE;
    }
    return 0;
}
