/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/json.h"

/* No control characters: they could end the header that carries it. */
static bool is_clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return false;
	return true;
}

static bool take(char *to, size_t room, const char *value)
{
	if (strlen(value) >= room || !is_clean(value))
		return false;
	snprintf(to, room, "%s", value);
	return true;
}

int credentials_parse(const char *text, struct credentials *c, struct oci_error *err)
{
	*c = (struct credentials){0};
	if (!strchr(text, ':') || text[0] == ':')
		return oci_fail(err, EINVAL, "--creds: must be of the form USER:PASSWORD");
	if (!take(c->basic, sizeof(c->basic), text))
		return oci_fail(err, EINVAL, "--creds: too long, or has control characters");
	return 0;
}

static bool decode(const char *text, char *out, size_t room)
{
	unsigned char raw[4096];
	size_t len = strlen(text), pad = 0;
	int n;

	if (!len || len % 4 || len > 4096)
		return false;
	while (pad < 2 && text[len - 1 - pad] == '=')
		pad++;
	n = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)len);
	if (n < 0 || (size_t)n < pad)
		return false;
	raw[n - (int)pad] = '\0';
	/* Some writers end the password with a NUL; one anywhere else is no password. */
	return strlen((char *)raw) + 1 >= (size_t)n - pad && strchr((char *)raw, ':') &&
	       take(out, room, (char *)raw);
}

static int read_entry(struct json_in *in, yajl_val entry, const char *key, struct credentials *c)
{
	const char *auth = "", *identity = "", *user = NULL, *password = NULL;
	char both[sizeof(c->basic)];
	int r;

	if (!YAJL_IS_OBJECT(entry))
		return oci_fail(in->err, EINVAL, "%s: auths.%.200s must be an object", in->file,
				key);
	if ((r = json_in_string(in, entry, "auths", "auth", &auth)) ||
	    (r = json_in_string(in, entry, "auths", "identitytoken", &identity)) ||
	    (r = json_in_string(in, entry, "auths", "username", &user)) ||
	    (r = json_in_string(in, entry, "auths", "password", &password)))
		return r;
	if (*auth && !decode(auth, c->basic, sizeof(c->basic)))
		return oci_fail(in->err, EINVAL,
				"%s: auths.%.200s.auth must be USER:PASSWORD in base 64", in->file,
				key);
	if (!*auth && user && password &&
	    (snprintf(both, sizeof(both), "%s:%s", user, password) >= (int)sizeof(both) ||
	     !take(c->basic, sizeof(c->basic), both)))
		return oci_fail(in->err, EINVAL, "%s: auths.%.200s: name or password unusable",
				in->file, key);
	if (*identity && !take(c->identity, sizeof(c->identity), identity))
		return oci_fail(in->err, EINVAL, "%s: auths.%.200s.identitytoken unusable",
				in->file, key);
	return c->basic[0] || c->identity[0];
}

/* How much of HOST/PATH the key covers, in characters; 0: none of it. */
static size_t covers(const char *key, const char *host, const char *path)
{
	const char *scheme = strstr(key, "://");
	size_t n = strlen(host), rest;

	key = scheme ? scheme + 3 : key;
	if (strncmp(key, host, n) || (key[n] && key[n] != '/'))
		return 0;
	key += n + (key[n] == '/');
	rest = strlen(key);
	/* docker writes the address of the interface behind the host. */
	if (!rest || (scheme && (!strncmp(key, "v1", 2) || !strncmp(key, "v2", 2))))
		return n;
	if (strncmp(key, path, rest) || (path[rest] && path[rest] != '/'))
		return 0;
	return n + 1 + rest;
}

int credentials_in_text(const char *text, size_t len, const char *file, const char *host,
			const char *path, struct credentials *c, struct oci_error *err)
{
	struct json_in in = {file, err};
	yajl_val doc = json_parse(text, len, file, err), auths;
	size_t best = 0, at = 0;
	int r = 0;

	*c = (struct credentials){0};
	if (!doc)
		return -EINVAL;
	if (!YAJL_IS_OBJECT(doc))
		r = oci_fail(err, EINVAL, "%s: must be a JSON object", file);
	if (!r)
		r = json_in_object(&in, doc, "", "auths", &auths);
	for (size_t i = 0; !r && auths && i < auths->u.object.len; i++) {
		size_t n = covers(auths->u.object.keys[i], host, path);

		if (n > best) {
			best = n;
			at = i;
		}
	}
	if (!r && best)
		r = read_entry(&in, auths->u.object.values[at], auths->u.object.keys[at], c);
	yajl_tree_free(doc);
	return r;
}

/* 1: found, 0: not, -errno. A file that is not there has no entries unless it was asked for. */
static int look_into(const char *file, bool asked, const char *host, const char *path,
		     struct credentials *c, struct oci_error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	if (!asked && access(file, R_OK))
		return 0;
	r = json_read_file(AT_FDCWD, file, CREDENTIALS_MAX_FILE, &text, &len, err);
	return r ? r : credentials_in_text(text, len, file, host, path, c, err);
}

int credentials_find(const char *file, const char *host, const char *path, struct credentials *c,
		     struct oci_error *err)
{
	const struct {
		const char *env, *tail; /* $env and what follows it */
	} places[] = {{"XDG_RUNTIME_DIR", "/containers/auth.json"},
		      {NULL, NULL},
		      {"XDG_CONFIG_HOME", "/containers/auth.json"},
		      {"HOME", "/.config/containers/auth.json"},
		      {"DOCKER_CONFIG", "/config.json"},
		      {"HOME", "/.docker/config.json"}};
	char name[PATH_MAX];
	int r = 0;

	*c = (struct credentials){0};
	if (!file)
		file = getenv("REGISTRY_AUTH_FILE");
	if (file && *file) {
		r = look_into(file, true, host, path, c, err);
		return r < 0 ? r : 0;
	}
	for (size_t i = 0; !r && i < sizeof(places) / sizeof(places[0]); i++) {
		const char *dir = places[i].env ? getenv(places[i].env) : "";
		int n = places[i].env ? snprintf(name, sizeof(name), "%s%s", dir ? dir : "",
						 places[i].tail)
				      : snprintf(name, sizeof(name), "/run/containers/%u/auth.json",
						 geteuid());

		if (!dir || (places[i].env && *dir != '/') || n >= (int)sizeof(name))
			continue;
		r = look_into(name, false, host, path, c, err);
	}
	return r < 0 ? r : 0;
}

bool credentials_basic_header(const struct credentials *c, char *out, size_t len)
{
	size_t n = strlen(c->basic);

	if (len < 7 + (n + 2) / 3 * 4)
		return false;
	memcpy(out, "Basic ", 6);
	EVP_EncodeBlock((unsigned char *)out + 6, (const unsigned char *)c->basic, (int)n);
	return true;
}
