/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c - virtual network, agent and clock. Tests only. */
#include "tests/sim/sim.h"

#include <string.h>

struct sim_service { /* behind one joined work connection */
	struct list link;
	struct sim *sim;
	struct client_work *work;
	struct flow flow;
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void note(struct sim *s, uint64_t what, uint64_t how_much)
{
	s->digest = (s->digest ^ (what * 1000003 + how_much) ^ s->env.now_ms) *
		    UINT64_C(0x100000001b3);
	s->env.n_events++;
}

/* -- network ------------------------------------------------------------------------------------
 */

static struct sim_conn *conn_new(struct sim *s)
{
	struct sim_conn *c = calloc(1, sizeof(*c));

	PROMISE(&s->env, c != NULL);
	list_init(&c->wires[TAP_UP].chunks);
	list_init(&c->wires[TAP_DOWN].chunks);
	tap_init(&c->tap, &s->env);
	PROMISE(&s->env, frps_accept(&s->frps, &c->server) == 0);
	c->is_agents = true;
	list_add_tail(&s->conns, &c->link);
	return c;
}

static void conn_free(struct sim_conn *c)
{
	list_del(&c->link);
	wire_drop(&c->wires[TAP_UP]);
	wire_drop(&c->wires[TAP_DOWN]);
	tap_deinit(&c->tap);
	free(c);
}

static void conn_close_server(struct sim *s, struct sim_conn *c, bool is_reset)
{
	if (c->server == NULL)
		return;
	frps_lost(c->server);
	c->server = NULL;
	wire_drop(&c->wires[TAP_UP]);
	c->wires[TAP_UP].in_flight = 0;
	if (is_reset)
		wire_drop(&c->wires[TAP_DOWN]);
	wire_push(&s->env, s->latency_ms, &c->wires[TAP_DOWN], span_of(NULL, 0), true);
}

/* The agent closes its end; what it had sent still goes its way unless it was a reset. */
static void conn_close_agent(struct sim *s, struct sim_conn *c)
{
	c->is_agents = false;
	wire_drop(&c->wires[TAP_DOWN]);
	wire_push(&s->env, s->latency_ms, &c->wires[TAP_UP], span_of(NULL, 0), true);
}

/* From here on the agent's machines run, or no more. */
static void agent_enter(struct sim *s, bool is_entered)
{
	if (s->on_agent != NULL)
		s->on_agent(s, is_entered);
}

/* -- agent --------------------------------------------------------------------------------------
 */

static void carrier_forget(void *owner, void *h)
{
	client_forget(((struct sim *) owner)->client, ((struct sim_service *) h)->work);
}

FLOW_DEFINE_OPS(carrier, client, sim, client, sim_service, work);

static void service_free(struct sim_service *v)
{
	list_del(&v->link);
	free(v);
}

/* Services that are over are freed here only: nobody holds them then. */
static void services_sweep(struct sim *s)
{
	struct list *i, *next;

	for (i = s->services.next; i != &s->services; i = next) {
		struct sim_service *v = container_of(i, struct sim_service, link);

		next = i->next;
		if (v->flow.is_over)
			service_free(v);
	}
}

static void agent_lose(struct sim *s, enum client_cause cause)
{
	bool was_up = s->client != NULL && client_run_id(s->client)[0] != '\0';

	s->deaths[cause]++;
	s->n_deaths++;
	s->last_cause = cause;
	s->death_ms = s->env.now_ms;
	note(s, 1, cause);
	while (!list_is_empty(&s->services)) {
		struct sim_service *v = container_of(s->services.next, struct sim_service, link);

		flow_on_loss(&v->flow);
		service_free(v);
	}
	s->client = client_free(s->client);
	if (s->conn != NULL)
		conn_close_agent(s, s->conn);
	s->conn = NULL;
	if (!was_up || !s->keeps_run_id)
		s->run_id[0] = '\0'; /* it may be what parks the login */
	if (cause == CLIENT_CAUSE_LEFT)
		s->is_left = true;
	else
		retry_lost(&s->retry, cause == CLIENT_CAUSE_REFUSED ? RETRY_REFUSED : RETRY_NETWORK,
			   s->env.now_ms);
}

static void agent_on_start(struct sim *s, const struct client_event *ev)
{
	struct sim_service *v = calloc(1, sizeof(*v));

	PROMISE(&s->env, v != NULL);
	PROMISE(&s->env, ev->proxy < SIM_N_PROXIES && ev->start->src_port == 5);
	v->sim = s;
	v->work = ev->work;
	v->flow = (struct flow){ .env = &s->env, .ops = &carrier_ops, .owner = s, .handle = v };
	v->flow.kind = !s->frps.rules.is_gentle && env_chance(&s->env, 5) ? FLOW_SERVICE_ABORTS
									  : FLOW_SERVICE;
	flow_init_service(&v->flow);
	list_add_tail(&s->services, &v->link);
	client_work_set_user(ev->work, v);
	s->n_starts++;
}

static void agent_on_login(struct sim *s)
{
	PROMISE(&s->env, s->n_logins == 0 || s->env.now_ms >= s->login_ms + WAIT_LOGIN_SPACING_MS);
	s->login_ms = s->env.now_ms;
	s->n_logins++;
	retry_done(&s->retry, s->env.now_ms);
	(void) snprintf(s->run_id, sizeof(s->run_id), "%s", client_run_id(s->client));
}

/* True: the session is over. */
static bool agent_on_event(struct sim *s, const struct client_event *ev)
{
	struct sim_service *v = ev->user;

	note(s, 2 + ev->kind, ev->data.len);
	switch (ev->kind) {
	case CLIENT_EV_LOGIN: agent_on_login(s); break;
	case CLIENT_EV_PROXY_UP:
		PROMISE(&s->env, s->roster.entries[ev->proxy].state == ROSTER_STATE_UP);
		s->up_ms = s->env.now_ms;
		break;
	case CLIENT_EV_PROXY_DOWN: s->n_downs++; break;
	case CLIENT_EV_PROXY_REFUSED:
		PROMISE(&s->env, ev->text != NULL && ev->text[0] != '\0');
		break;
	case CLIENT_EV_START: agent_on_start(s, ev); break;
	case CLIENT_EV_DATA: flow_on_data(&v->flow, ev->data); break;
	case CLIENT_EV_FIN: flow_on_fin(&v->flow); break;
	case CLIENT_EV_RST: flow_on_rst(&v->flow); break;
	case CLIENT_EV_WORK_ERROR:
	case CLIENT_EV_PONG_ERROR: break;
	case CLIENT_EV_VISIT_OPEN:
	case CLIENT_EV_VISIT_REFUSED:
		PROMISE(&s->env, ev->work == NULL); /* nobody asks for one */
		break;
	case CLIENT_EV_WANT_WORK:
		PROMISE(&s->env, s->env.now_ms == UINT64_MAX); /* never with a mux */
		break;
	case CLIENT_EV_DEAD: agent_lose(s, ev->cause); return true;
	}
	return false;
}

static void agent_wake(struct sim *s)
{
	s->n_wakes += s->wake_ms != s->env.now_ms;
	s->wake_ms = s->env.now_ms;
}

/* Returns false when the session ended. */
static bool agent_events(struct sim *s)
{
	struct client_event ev;

	for (;;) {
		int err;

		agent_enter(s, true);
		err = client_next(s->client, &ev);
		agent_enter(s, false);
		if (err != 0)
			return true;
		if (agent_on_event(s, &ev))
			return false;
	}
}

static void agent_turns(struct sim *s)
{
	size_t quantum;
	void *user;

	while (client_turn(s->client, &user, &quantum) == 0)
		flow_on_turn(&((struct sim_service *) user)->flow, quantum);
}

/* Put bytes on the wire while it takes them. Returns whether any went. */
static bool agent_drain(struct sim *s)
{
	struct sim_wire *w = &s->conn->wires[TAP_UP];
	bool has_sent = false;
	struct span out;

	while (w->in_flight < s->wire_max) {
		size_t n = s->wire_max - w->in_flight;

		agent_enter(s, true);
		out = client_drain(s->client);
		agent_enter(s, false);
		if (out.len == 0)
			break;
		n = 1 + env_random(&s->env, (uint32_t) (n < out.len ? n : out.len));
		tap_sent(&s->conn->tap, TAP_UP, span_head(out, n));
		wire_push(&s->env, s->latency_ms, w, span_head(out, n), false);
		client_drained(s->client, n);
		has_sent = true;
	}
	return has_sent;
}

static bool agent_is_paused(const struct sim *s)
{
	return s->env.now_ms < s->paused_until_ms;
}

static void agent_pump(struct sim *s)
{
	uint64_t ticked_ms = 0;
	bool has_sent = true;
	unsigned n_ticks = 0;

	if (s->client == NULL || agent_is_paused(s))
		return;
	for (unsigned n = 0; has_sent || client_deadline(s->client) <= s->env.now_ms; n++) {
		PROMISE(&s->env, n < 100000);
		if (client_deadline(s->client) <= s->env.now_ms) {
			agent_wake(s);
			agent_enter(s, true);
			client_tick(s->client, s->env.now_ms);
			agent_enter(s, false);
			if (!agent_events(s))
				return;
			/* A late tick may ask for another one; more, and a driver's loop would
			 * spin. */
			n_ticks = s->wake_ms == ticked_ms ? n_ticks + 1 : 1;
			ticked_ms = s->wake_ms;
			PROMISE(&s->env, n_ticks < 5);
		}
		if (!agent_events(s))
			return;
		agent_turns(s);
		has_sent = agent_drain(s);
	}
	services_sweep(s);
}

static void agent_dial(struct sim *s)
{
	PROMISE(&s->env, s->client == NULL && s->conn == NULL);
	PROMISE(&s->env, retry_begin(&s->retry, s->env.now_ms) == 0);
	s->n_tries++;
	note(s, 30, s->n_tries);
	s->dial_due_ms = s->env.now_ms + (s->is_net_down ? WAIT_DIAL_MS : s->latency_ms);
}

static void agent_on_dialed(struct sim *s)
{
	struct client_params p = { .is_mux = true,
				   .wall_s = 1700000000,
				   .heartbeat_ms = WAIT_HEARTBEAT_MS };
	int err;

	s->dial_due_ms = UINT64_MAX;
	if (!s->is_server_up || s->is_net_down) {
		retry_lost(&s->retry, RETRY_NETWORK, s->env.now_ms);
		return;
	}
	p.login.wire = WIRE_V1;
	p.login.token = span_str(FRPS_TOKEN);
	p.login.login.version = "0.65.0";
	p.login.login.pool_count = 1;
	p.login.login.run_id = s->run_id[0] != '\0' ? s->run_id : NULL;
	for (size_t i = 0; i < sizeof(p.login.iv); i++)
		p.login.iv[i] = (uint8_t) env_random(&s->env, 256);
	agent_enter(s, true);
	err = client_new(&s->client, &p, &s->roster, s->env.now_ms);
	agent_enter(s, false);
	if (err != 0) {
		PROMISE(&s->env, err == -ENOMEM && s->on_agent != NULL);
		retry_lost(&s->retry, RETRY_NETWORK, s->env.now_ms);
		return;
	}
	s->conn = conn_new(s);
	PROMISE(&s->env, s->frps.n_open <= 16);
}

/* -- arrivals -----------------------------------------------------------------------------------
 */

/* Cut @bytes at random; each piece is a block of its own, so that a read beyond is seen. */
static bool arrive_at_agent(struct sim *s, struct span bytes)
{
	while (bytes.len > 0) {
		size_t n = env_chance(&s->env, 50) ? bytes.len
						   : 1 + env_random(&s->env, (uint32_t) bytes.len);
		uint8_t *copy = malloc(n);
		bool is_alive;

		PROMISE(&s->env, copy != NULL);
		memcpy(copy, bytes.p, n);
		tap_arrived(&s->conn->tap, TAP_DOWN, span_of(copy, n));
		client_feed(s->client, span_of(copy, n), s->env.now_ms);
		is_alive = agent_events(s);
		free(copy);
		if (!is_alive)
			return false;
		bytes = span_skip(bytes, n);
	}
	return true;
}

static void arrive_at_server(struct sim *s, struct sim_conn *c, struct span bytes)
{
	while (bytes.len > 0 && !frps_is_dead(c->server)) {
		size_t n = env_chance(&s->env, 50) ? bytes.len
						   : 1 + env_random(&s->env, (uint32_t) bytes.len);

		tap_arrived(&c->tap, TAP_UP, span_head(bytes, n));
		frps_feed(c->server, span_head(bytes, n));
		bytes = span_skip(bytes, n);
	}
}

static struct sim_chunk *wire_due(const struct sim *s, const struct sim_conn *c, enum tap_dir dir)
{
	const struct sim_wire *w = &c->wires[dir];
	struct sim_chunk *k;

	if (list_is_empty(&w->chunks) || c->is_black[dir])
		return NULL;
	if (dir == TAP_DOWN && c->is_agents && agent_is_paused(s))
		return NULL;
	k = container_of(w->chunks.next, struct sim_chunk, link);
	return k;
}

static void arrive_down(struct sim *s, struct sim_conn *c, struct sim_chunk *k)
{
	struct client_event ev;

	if (!c->is_agents)
		return;
	agent_wake(s);
	if (!k->is_end) {
		(void) arrive_at_agent(s, span_of(k->bytes, k->len));
		return;
	}
	client_lost(s->client, "connection reset");
	while (s->client != NULL && client_next(s->client, &ev) == 0)
		(void) agent_on_event(s, &ev);
	PROMISE(&s->env, s->client == NULL);
}

static void arrive_up(struct sim *s, struct sim_conn *c, struct sim_chunk *k)
{
	if (c->server == NULL)
		return;
	if (k->is_end)
		conn_close_server(s, c, false);
	else
		arrive_at_server(s, c, span_of(k->bytes, k->len));
}

static void conn_arrivals(struct sim *s, struct sim_conn *c)
{
	for (int dir = TAP_UP; dir <= TAP_DOWN; dir++) {
		struct sim_chunk *k;

		while ((k = wire_due(s, c, (enum tap_dir) dir)) != NULL &&
		       k->due_ms <= s->env.now_ms) {
			list_del(&k->link);
			c->wires[dir].in_flight -= k->len;
			note(s, 40 + (uint64_t) dir, k->len);
			if (dir == TAP_UP)
				arrive_up(s, c, k);
			else
				arrive_down(s, c, k);
			free(k);
		}
	}
}

static void conn_serve(struct sim *s, struct sim_conn *c)
{
	struct sim_wire *w = &c->wires[TAP_DOWN];
	struct span out;

	if (c->server == NULL)
		return;
	if (frps_deadline(c->server) <= s->env.now_ms)
		frps_act(c->server);
	while (!frps_is_dead(c->server) && w->in_flight < s->wire_max &&
	       (out = frps_drain(c->server)).len > 0) {
		size_t n = s->wire_max - w->in_flight;

		n = 1 + env_random(&s->env, (uint32_t) (n < out.len ? n : out.len));
		tap_sent(&c->tap, TAP_DOWN, span_head(out, n));
		wire_push(&s->env, s->latency_ms, w, span_head(out, n), false);
		frps_drained(c->server, n);
	}
	if (frps_is_dead(c->server))
		conn_close_server(s, c, env_chance(&s->env, 50));
}

/* -- the clock ----------------------------------------------------------------------------------
 */

static uint64_t conn_due(const struct sim *s, const struct sim_conn *c)
{
	uint64_t due = UINT64_MAX;
	struct sim_chunk *k;

	for (int dir = TAP_UP; dir <= TAP_DOWN; dir++) {
		k = wire_due(s, c, (enum tap_dir) dir);
		if (k != NULL)
			due = earlier(due, k->due_ms);
	}
	return c->server != NULL ? earlier(due, frps_deadline(c->server)) : due;
}

static uint64_t agent_due(const struct sim *s)
{
	uint64_t due = s->dial_due_ms;

	if (s->retry.state == RETRY_STATE_WAITING && !s->is_left)
		due = earlier(due, s->retry.due_ms);
	if (s->client != NULL)
		due = earlier(due, client_deadline(s->client));
	for (struct list *i = s->services.next; i != &s->services; i = i->next)
		due = earlier(due, container_of(i, struct sim_service, link)->flow.due_ms);
	if (agent_is_paused(s) && due < s->paused_until_ms)
		due = s->paused_until_ms;
	return agent_is_paused(s) ? earlier(due, s->paused_until_ms) : due;
}

static void agent_act(struct sim *s)
{
	struct list *i;

	if (agent_is_paused(s))
		return;
	if (s->dial_due_ms <= s->env.now_ms)
		agent_on_dialed(s);
	if (s->retry.state == RETRY_STATE_WAITING && !s->is_left &&
	    s->retry.due_ms <= s->env.now_ms)
		agent_dial(s);
	for (i = s->services.next; i != &s->services; i = i->next) {
		struct flow *f = &container_of(i, struct sim_service, link)->flow;

		if (f->due_ms <= s->env.now_ms)
			flow_act(f);
	}
	agent_pump(s);
}

static void sim_step(struct sim *s)
{
	struct list *i, *next;

	agent_act(s);
	for (i = s->conns.next; i != &s->conns; i = next) {
		struct sim_conn *c = container_of(i, struct sim_conn, link);

		next = i->next;
		conn_arrivals(s, c);
		conn_serve(s, c);
		if (c->server == NULL && !c->is_agents)
			conn_free(c);
	}
	agent_pump(s);
}

static uint64_t sim_due(const struct sim *s)
{
	uint64_t due = agent_due(s);

	for (struct list *i = s->conns.next; i != &s->conns; i = i->next)
		due = earlier(due, conn_due(s, container_of(i, struct sim_conn, link)));
	return due;
}

static bool never(const struct sim *s)
{
	(void) s;
	return false;
}

uint64_t sim_run_until(struct sim *s, bool (*is_true)(const struct sim *s), uint64_t max_ms)
{
	uint64_t from_ms = s->env.now_ms, end_ms = from_ms + max_ms, due_ms;

	for (;;) {
		sim_step(s);
		if (is_true(s))
			return s->env.now_ms - from_ms;
		due_ms = sim_due(s);
		if (due_ms <= s->env.now_ms) {
			PROMISE(&s->env, s->n_spins++ < 10000);
			continue;
		}
		s->n_spins = 0;
		if (due_ms > end_ms) {
			s->env.now_ms = end_ms;
			return UINT64_MAX;
		}
		s->env.now_ms = due_ms;
	}
}

void sim_run_ms(struct sim *s, uint64_t ms)
{
	(void) sim_run_until(s, never, ms);
}

/* -- what a test does ---------------------------------------------------------------------------
 */

struct sim *sim_new(uint64_t seed)
{
	static const char *const names[SIM_N_PROXIES] = { "node-1", "node-2" };
	struct sim *s = calloc(1, sizeof(*s));
	size_t at;

	if (s == NULL)
		abort();
	s->env = (struct env){ .seed = seed, .rng = seed, .now_ms = 100000000 };
	s->latency_ms = 5;
	s->wire_max = 65536;
	s->keeps_run_id = true;
	s->is_server_up = true;
	s->dial_due_ms = UINT64_MAX;
	list_init(&s->conns);
	list_init(&s->services);
	frps_init(&s->frps, &s->env);
	roster_init(&s->roster, seed);
	s->roster.all_or_none = true;
	retry_init(&s->retry, seed);
	for (size_t i = 0; i < SIM_N_PROXIES; i++) {
		s->proxies[i] = (struct msg_new_proxy){ .name = names[i],
							.type = "tcp",
							.remote_port = 10001 + (int) i };
		PROMISE(&s->env, roster_add(&s->roster, &s->proxies[i], NULL, &at) == 0);
	}
	retry_lost(&s->retry, RETRY_NETWORK, s->env.now_ms);
	return s;
}

struct sim *sim_free(struct sim *s)
{
	s->is_left = true;
	if (s->client != NULL)
		agent_lose(s, CLIENT_CAUSE_LEFT);
	frps_deinit(&s->frps);
	while (!list_is_empty(&s->conns))
		conn_free(container_of(s->conns.next, struct sim_conn, link));
	roster_deinit(&s->roster);
	free(s);
	return NULL;
}

bool sim_is_up(const struct sim *s)
{
	for (size_t i = 0; i < SIM_N_PROXIES; i++)
		if (!frps_has_proxy(&s->frps, s->proxies[i].name))
			return false;
	return s->client != NULL && client_is_up(s->client) && roster_is_all_up(&s->roster);
}

bool sim_is_lost(const struct sim *s)
{
	return s->client == NULL;
}

bool sim_is_quiet(const struct sim *s)
{
	return frps_n_busy(&s->frps) == 0 && (s->client == NULL || client_n_joined(s->client) == 0);
}

void sim_cut(struct sim *s, bool is_reset)
{
	struct sim_conn *c = s->conn;

	if (c == NULL || c->server == NULL)
		return;
	if (is_reset) { /* both ends hear of it */
		wire_drop(&c->wires[TAP_UP]);
		c->wires[TAP_UP].in_flight = 0;
	}
	conn_close_server(s, c, is_reset);
}

void sim_go_black(struct sim *s, bool is_up, bool is_down)
{
	if (s->conn == NULL)
		return;
	s->conn->is_black[TAP_UP] = is_up;
	s->conn->is_black[TAP_DOWN] = is_down;
}

void sim_heal(struct sim *s)
{
	for (struct list *i = s->conns.next; i != &s->conns; i = i->next) {
		struct sim_conn *c = container_of(i, struct sim_conn, link);

		c->is_black[TAP_UP] = c->is_black[TAP_DOWN] = false;
	}
}

void sim_stop_server(struct sim *s)
{
	s->is_server_up = false;
	for (struct list *i = s->conns.next; i != &s->conns; i = i->next)
		conn_close_server(s, container_of(i, struct sim_conn, link), true);
}

void sim_start_server(struct sim *s)
{
	s->is_server_up = true;
}

void sim_pause(struct sim *s, uint64_t ms)
{
	s->paused_until_ms = s->env.now_ms + ms;
}

void sim_leave(struct sim *s)
{
	agent_enter(s, true);
	client_leave(s->client, s->env.now_ms);
	agent_enter(s, false);
	agent_pump(s);
}
