/* What Python may see of core.h, context.h, fcgi.h and params.h. */

#define BODY_E_TOO_LARGE ...
#define BODY_E_WRONG_LENGTH ...
#define BODY_E_GONE ...
#define ENGINE_NONE ...
#define ENGINE_FORK ...
#define ENGINE_REWIND ...
#define ENGINE_LWC ...
#define CHANNEL_EXIT_REPLACE ...
#define LW_STOP ...
#define LW_REQUEST ...
#define LW_FRESH ...
#define KEEP_LISTENERS ...
#define KEEP_CLIENTS ...

struct lw_settings {
    int32_t engine;
    int32_t worker;
    uint32_t workers;
    int32_t timeout_ms;
    int32_t after_response_ms;
    uint32_t max_params;
    uint64_t max_body;
    uint64_t max_request_memory;
    int32_t verify;
    int32_t dispatch;
    int32_t verbose;
    int32_t hostile;
    int32_t discard;
    int32_t json;
    int32_t events_fd;
    int32_t access_log_fd;
    int32_t queue_send;
    int32_t queue_recv;
    int32_t door_fd;
    int32_t listener_count;
    int32_t listeners[...];
    int32_t client_count;
    uint8_t clients[...][16];
};

int lw_disable_huge_pages(void);
int lw_confinement(void);
int lw_create(const struct lw_settings *cfg);
int lw_arm(const int *fds, int count, int *bad);
int lw_rehearse(const uint8_t *block, uint32_t len);
int lw_next(void);
const uint8_t *lw_block(uint32_t *len);
uint64_t lw_number(void);
int lw_role(void);
int lw_has_body(void);
int lw_headers_sent(void);
int lw_write(const void *data, size_t len, int last);
long lw_read(void *buf, size_t len);
int lw_renew_random(uint32_t *state);
size_t lw_fill_pymalloc(size_t most);
size_t lw_fill_malloc(size_t most, size_t room);
void lw_make_pymalloc_room(size_t room);
void lw_make_malloc_room(size_t room);
void lw_log(char level, const void *text, size_t len);
void lw_abort(void);
void lw_leave(void);
void lw_app_runs(void);
void lw_app_ran(void);
void lw_python_before_fork(void);
void lw_python_after_fork_parent(void);
void lw_python_after_fork_child(void);
void lw_python_call_hook(size_t hook);
void lw_close(void);

struct lw_selftest {
    const char *premise;
    const char *mapping;
    const char *remedy;
    int32_t err;
    int32_t unseen;
    int32_t unseen_err;
};

int lw_selftest(const char *file, struct lw_selftest *result);

/* The protocol, for tests and tools. */
#define FCGI_EV_NEED_MORE ...
#define FCGI_EV_BEGIN ...
#define FCGI_EV_ABORT ...
#define FCGI_EV_PARAMS ...
#define FCGI_EV_STDIN ...
#define FCGI_EV_DATA ...
#define FCGI_EV_GET_VALUES ...
#define FCGI_EV_UNKNOWN_TYPE ...
#define FCGI_EV_IGNORED ...
#define FCGI_EV_ERROR ...
#define PARAMS_MAX_PAIRS ...
#define PARAMS_MALFORMED ...
#define PARAMS_NUL ...
#define PARAMS_TOO_MANY ...
#define PARAMS_BAD_NAME ...
#define PARAMS_CONFLICT ...
#define FCGI_VALUES_MAX ...

struct fcgi_event {
    int32_t kind;
    uint16_t id;
    uint16_t role;
    uint8_t flags;
    uint8_t type;
    uint8_t end;
    uint32_t len;
    const uint8_t *data;
    const char *error;
    ...;
};

struct fcgi_parser {
    ...;
};

struct pair {
    const uint8_t *name;
    const uint8_t *value;
    uint32_t name_len;
    uint32_t value_len;
};

struct params_known {
    struct pair content_length;
    struct pair method;
    struct pair uri;
    struct pair protocol;
    struct pair remote_addr;
    struct pair request_id;
    struct pair user_agent;
    struct pair referer;
    ...;
};

void fcgi_reset(struct fcgi_parser *p);
int fcgi_next(struct fcgi_parser *p, const uint8_t **in, const uint8_t *end,
              struct fcgi_event *ev);
size_t fcgi_header(uint8_t *to, int type, unsigned id, unsigned content, unsigned padding);
size_t fcgi_end_request(uint8_t *to, unsigned id, uint32_t app_status, int protocol_status);
size_t fcgi_unknown_type(uint8_t *to, int type);
size_t fcgi_values(uint8_t *to, const uint8_t *query, size_t len, unsigned max_conns,
                   unsigned max_reqs);
long params_decode(const uint8_t *pairs, size_t len, uint8_t *block, struct pair *scratch,
                   struct params_known *known);
int params_content_length(const struct pair *p, uint64_t *value);
