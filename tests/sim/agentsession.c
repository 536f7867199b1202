/* SPDX-License-Identifier: Apache-2.0 */
/* agentsession.c - one session of an agent: its services, its events, its bytes. Tests only. */
#include "tests/sim/agentparts.h"

#include <string.h>

#include "tests/sim/frps.h"
#include "tests/unit/failmalloc.h"

struct service { /* behind one joined work connection; of a visit: the user before it */
	struct list link;
	struct agent *agent;
	struct client_work *work;
	uint32_t size; /* of a visit that is not answered yet */
	uint32_t id;
	struct flow flow;
};

/* -- the machines -- */

/* From here on the agent's machines run, and an allocation may fail. */
void agent_enter_machines(struct agent *a)
{
	if (a->fails_in != SIZE_MAX)
		failmalloc_at(a->fails_in);
}

void agent_leave_machines(struct agent *a)
{
	if (a->fails_in == SIZE_MAX)
		return;
	if (!failmalloc_stop()) {
		a->fails_in -= failmalloc_count();
		return;
	}
	env_hit(a->env, FAULT_NO_MEMORY);
	a->fails_in = SIZE_MAX;
	a->n_failed++;
	if (a->conn != NULL)
		a->conn->harm |= HARM_MEMORY;
}

static int agent_next(struct agent *a, struct client_event *ret_ev)
{
	int err;

	agent_enter_machines(a);
	err = client_next(a->client, ret_ev);
	agent_leave_machines(a);
	return err;
}

/* -- services -- */

static void carrier_forget(void *owner, void *h)
{
	client_forget(((struct agent *) owner)->client, ((struct service *) h)->work);
}

FLOW_DEFINE_OPS(carrier, client, agent, client, service, work);

static struct service *service_new(struct agent *a, struct client_work *work)
{
	struct service *v = calloc(1, sizeof(*v));

	PROMISE(a->env, v != NULL);
	v->agent = a;
	v->work = work;
	v->flow = (struct flow){
		.env = a->env, .ops = &carrier_ops, .owner = a, .handle = v, .due_ms = UINT64_MAX
	};
	list_add_tail(&a->services, &v->link);
	return v;
}

static void service_free(struct service *v)
{
	list_del(&v->link);
	free(v);
}

/* Services that are over are freed here only: nobody holds them then. */
static void services_sweep(struct agent *a)
{
	struct list *i, *next;

	for (i = a->services.next; i != &a->services; i = next) {
		struct service *v = container_of(i, struct service, link);

		next = i->next;
		if (v->flow.is_over)
			service_free(v);
	}
}

uint64_t agent_services_due(const struct agent *a)
{
	uint64_t due_ms = UINT64_MAX;

	for (struct list *i = a->services.next; i != &a->services; i = i->next) {
		const struct flow *f = &container_of(i, struct service, link)->flow;

		due_ms = f->due_ms < due_ms ? f->due_ms : due_ms;
	}
	return due_ms;
}

void agent_serve(struct agent *a)
{
	for (struct list *i = a->services.next; i != &a->services; i = i->next) {
		struct flow *f = &container_of(i, struct service, link)->flow;

		if (f->due_ms <= a->env->now_ms)
			flow_act(f);
	}
}

static void services_lose(struct agent *a)
{
	while (!list_is_empty(&a->services)) {
		struct service *v = container_of(a->services.next, struct service, link);

		flow_on_loss(&v->flow);
		service_free(v);
	}
}

static void service_start(struct agent *a, const struct client_event *ev)
{
	struct service *v = service_new(a, ev->work);

	PROMISE(a->env, ev->proxy < AGENT_N_PROXIES && ev->start->src_port > 0);
	v->flow.kind = !a->frps->rules.is_gentle && env_chance(a->env, 5) ? FLOW_SERVICE_ABORTS
									  : FLOW_SERVICE;
	flow_init_service(&v->flow, (uint32_t) ev->start->src_port);
	client_work_set_user(ev->work, v);
	a->n_starts++;
}

bool agent_visit(struct agent *a, uint32_t big_pct)
{
	struct visit_params p = { .secret_key = span_str(FRPS_SECRET) };
	struct client_work *w;
	struct service *v;
	char name[16];
	uint32_t id;

	if (a->client == NULL || agent_is_paused(a))
		return false;
	id = frps_new_flow(a->frps);
	(void) snprintf(name, sizeof(name), "%u", id);
	p.proxy_name = name;
	if (client_open_visit(a->client, &p, NULL, &w) != 0)
		return false;
	v = service_new(a, w);
	v->id = id;
	v->size = flow_size(a->env, big_pct);
	client_work_set_user(w, v);
	agent_pump(a);
	return true;
}

static void visit_open(struct service *v)
{
	struct env *e = v->agent->env;
	uint32_t n_up = env_random(e, v->size), n_down = env_random(e, v->size);

	v->flow.kind = v->agent->frps->rules.is_gentle || env_chance(e, 80) ? FLOW_USER_HALF
									    : FLOW_USER_ABORTS;
	flow_init_user(&v->flow, v->id, n_up, n_down);
	v->agent->frps->n_users++;
}

static void visit_refused(struct service *v)
{
	client_forget(v->agent->client, v->work);
	v->flow.is_over = true;
}

/* -- the session -- */

static unsigned excuse_of(const struct agent *a, enum client_cause cause)
{
	const unsigned closed = HARM_CUT | HARM_SILENCE | HARM_NONSENSE | HARM_PAUSE;

	switch (cause) {
	case CLIENT_CAUSE_NONE: return 0;
	case CLIENT_CAUSE_UNHEARD: /* our server answers each hello, but without a mux an end looks
				    * the same */
		return a->frps->is_mux ? 0 : closed;
	case CLIENT_CAUSE_SERVER_CLOSED: return closed;
	case CLIENT_CAUSE_REPLACED: return HARM_EVICTION;
	case CLIENT_CAUSE_REFUSED: return HARM_REFUSAL;
	case CLIENT_CAUSE_LATE: return HARM_MUTE | HARM_SILENCE;
	case CLIENT_CAUSE_SILENT: /* without a mux a login that waits is silence */
		return a->frps->is_mux ? HARM_SILENCE : HARM_SILENCE | HARM_MUTE;
	case CLIENT_CAUSE_PROTOCOL: return HARM_NONSENSE;
	case CLIENT_CAUSE_GOAWAY: return HARM_GOAWAY;
	case CLIENT_CAUSE_MEMORY: return HARM_MEMORY;
	case CLIENT_CAUSE_LEFT: return HARM_FAREWELL;
	}
	return 0;
}

void agent_hang_up(struct agent *a)
{
	services_lose(a);
	a->client = client_free(a->client);
	if (a->conn != NULL)
		net_close_agent(a->net, a->conn);
	a->conn = NULL;
}

/* Two good sessions in a row that another login took within a minute: that is a rival, and nothing
 * else is. */
static void agent_judge_rival(struct agent *a, bool is_evicted, enum retry_class class)
{
	uint64_t now_ms = a->env->now_ms;
	bool was_evicted = a->evicted_ms > 0 && now_ms - a->evicted_ms <= AGENT_RIVAL_MS;

	PROMISE(a->env, class == RETRY_RIVAL || !(is_evicted && was_evicted));
	a->evicted_ms = is_evicted && class != RETRY_RIVAL ? now_ms : 0;
	if (class != RETRY_RIVAL)
		return;
	env_hit(a->env, FAULT_RIVAL);
	PROMISE(a->env, is_evicted && a->runid.at[0] == '\0');
	a->rival_due_ms = now_ms + AGENT_CALM_MS;
}

static void agent_on_dead(struct agent *a, enum client_cause cause, const char *text)
{
	bool was_up = a->retry.state == RETRY_STATE_IDLE;
	enum retry_class class;

	PROMISE(a->env, (a->conn->harm & excuse_of(a, cause)) != 0);
	a->deaths[cause]++;
	a->n_deaths++;
	a->last_cause = cause;
	env_note(a->env, client_cause_name(cause), a->number, was_up);
	class = runid_on_dead(&a->runid, was_up, cause, text, a->retry.n_tries, a->env->now_ms);
	agent_judge_rival(a, was_up && cause == CLIENT_CAUSE_REPLACED, class);
	if (!a->keeps_run_id)
		runid_deinit(&a->runid);
	agent_hang_up(a);
	if (cause == CLIENT_CAUSE_LEFT)
		a->is_left = true;
	else
		retry_lost(&a->retry, class, a->env->now_ms);
}

static void agent_on_login(struct agent *a)
{
	PROMISE(a->env, a->n_logins == 0 || a->env->now_ms >= a->login_ms + WAIT_LOGIN_SPACING_MS);
	a->login_ms = a->env->now_ms;
	a->n_logins++;
	runid_on_login(&a->runid, client_run_id(a->client), a->retry.n_tries);
	retry_done(&a->retry, a->env->now_ms);
}

static void agent_note(struct agent *a, const struct client_event *ev)
{
	static const char *const words[] = {
		[CLIENT_EV_LOGIN] = "login",
		[CLIENT_EV_PROXY_UP] = "proxy up",
		[CLIENT_EV_PROXY_DOWN] = "proxy down",
		[CLIENT_EV_PROXY_REFUSED] = "proxy refused",
		[CLIENT_EV_WANT_WORK] = "want work",
		[CLIENT_EV_START] = "start",
		[CLIENT_EV_WORK_ERROR] = "work error",
		[CLIENT_EV_LIMIT] = "limit",
		[CLIENT_EV_DATA] = "data",
		[CLIENT_EV_FIN] = "fin",
		[CLIENT_EV_RST] = "rst",
		[CLIENT_EV_PONG_ERROR] = "pong error",
		[CLIENT_EV_VISIT_OPEN] = "visit open",
		[CLIENT_EV_VISIT_REFUSED] = "visit refused",
		[CLIENT_EV_DEAD] = "dead",
	};

	env_note(a->env, words[ev->kind], a->number, ev->data.len);
}

/* False: the session is over. */
static bool agent_on_event(struct agent *a, const struct client_event *ev)
{
	struct service *v = ev->user;

	agent_note(a, ev);
	switch (ev->kind) {
	case CLIENT_EV_LOGIN: agent_on_login(a); break;
	case CLIENT_EV_PROXY_UP:
		PROMISE(a->env, a->roster.entries[ev->proxy].state == ROSTER_STATE_UP);
		break;
	case CLIENT_EV_PROXY_DOWN: a->n_downs++; break;
	case CLIENT_EV_PROXY_REFUSED:
		PROMISE(a->env, ev->text != NULL && ev->text[0] != '\0');
		break;
	case CLIENT_EV_START: service_start(a, ev); break;
	case CLIENT_EV_DATA: flow_on_data(&v->flow, ev->data); break;
	case CLIENT_EV_FIN: flow_on_fin(&v->flow); break;
	case CLIENT_EV_RST: flow_on_rst(&v->flow); break;
	case CLIENT_EV_WORK_ERROR:
	case CLIENT_EV_LIMIT:
	case CLIENT_EV_PONG_ERROR: break;
	case CLIENT_EV_VISIT_OPEN: visit_open(v); break;
	case CLIENT_EV_VISIT_REFUSED: visit_refused(v); break;
	case CLIENT_EV_WANT_WORK:
		PROMISE(a->env, !a->frps->is_mux); /* the connections themselves are left out */
		break;
	case CLIENT_EV_DEAD: agent_on_dead(a, ev->cause, ev->text); return false;
	}
	return true;
}

static void agent_wake(struct agent *a)
{
	a->n_wakes += a->wake_ms != a->env->now_ms;
	a->wake_ms = a->env->now_ms;
}

/* False: the session ended. */
static bool agent_hear(struct agent *a)
{
	struct client_event ev;

	while (agent_next(a, &ev) == 0)
		if (!agent_on_event(a, &ev))
			return false;
	return true;
}

static void agent_turns(struct agent *a)
{
	size_t quantum;
	void *user;

	while (client_turn(a->client, &user, &quantum) == 0)
		flow_on_turn(&((struct service *) user)->flow, quantum);
}

/* Put bytes on the wire while it takes them. True: some went. */
static bool agent_drain(struct agent *a)
{
	bool has_sent = false;
	struct span out;
	size_t room;

	while ((room = net_room(a->net, a->conn, TAP_UP)) > 0) {
		agent_enter_machines(a);
		out = client_drain(a->client);
		agent_leave_machines(a);
		if (out.len == 0)
			break;
		out = span_head(
			out, 1 + env_random(a->env, (uint32_t) (room < out.len ? room : out.len)));
		net_send(a->net, a->conn, TAP_UP, out);
		client_drained(a->client, out.len);
		has_sent = true;
	}
	return has_sent;
}

void agent_pump(struct agent *a)
{
	uint64_t ticked_ms = 0;
	bool has_sent = true;
	unsigned n_ticks = 0;

	if (a->client == NULL || agent_is_paused(a))
		return;
	client_set_wide(a->client, env_chance(a->env, 50));
	for (unsigned n = 0; has_sent || client_deadline(a->client) <= a->env->now_ms; n++) {
		PROMISE(a->env, n < 100000);
		if (client_deadline(a->client) <= a->env->now_ms) {
			agent_wake(a);
			agent_enter_machines(a);
			client_tick(a->client, a->env->now_ms);
			agent_leave_machines(a);
			if (!agent_hear(a))
				return;
			/* A late tick may ask for another one; more, and a driver's loop would
			 * spin. */
			n_ticks = a->wake_ms == ticked_ms ? n_ticks + 1 : 1;
			ticked_ms = a->wake_ms;
			PROMISE(a->env, n_ticks < 5);
		}
		if (!agent_hear(a))
			return;
		agent_turns(a);
		has_sent = agent_drain(a);
	}
	services_sweep(a);
}

void agent_receive(struct agent *a, struct span bytes)
{
	agent_wake(a);
	a->heard_ms = a->env->now_ms;
	while (bytes.len > 0) {
		/* A block of its own, so that a read beyond it is seen. */
		size_t n = net_piece(a->net, bytes.len);
		uint8_t *copy = malloc(n);
		bool is_alive;

		PROMISE(a->env, copy != NULL);
		memcpy(copy, bytes.p, n);
		tap_arrived(&a->conn->tap, TAP_DOWN, span_of(copy, n));
		client_feed(a->client, span_of(copy, n), a->env->now_ms);
		is_alive = agent_hear(a);
		free(copy);
		if (!is_alive)
			return;
		bytes = span_skip(bytes, n);
	}
}

void agent_on_end(struct agent *a)
{
	agent_wake(a);
	client_lost(a->client, "connection reset");
	PROMISE(a->env, !agent_hear(a));
}
