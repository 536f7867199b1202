# SPDX-License-Identifier: Apache-2.0
# plants.py - bugs that are planted into a copy of one source of proto/, and found by random schedules.
"""plants.py make NAME SOURCE COPY: write the source with the bug.
plants.py find NAME PLANTED CLEAN SEEDS: the program with the bug fails within so many seeds, again with the seed that it
prints, and the one without it keeps all promises for the same seeds. Says so in TAP."""

import pathlib
import re
import subprocess
import sys

LIMIT_S = 300  # of one run of a program

# name: (what stands once in the source, what the bug makes of it). Who changes the source changes the bug with it.
PLANTS = {
    # a stream that is given up sends its FIN once more
    "second_fin": (
        "\ts->since_ms = m->now_ms;\n\tlist_add_tail(&m->lingering, &s->wait_link);",
        "\tif (!m->is_server && s->up == STREAM_UP_FIN_SENT)\n\t\tmux_try_fin(m, s);\n"
        "\ts->since_ms = m->now_ms;\n\tlist_add_tail(&m->lingering, &s->wait_link);",
    ),
    # the last byte of credit is not spent
    "credit_plus_one": (
        "\tMUST(n <= s->send_credit);\n\trecord_commit(&m->record, s->id, n);\n\ts->send_credit -= (uint32_t) n;",
        "\tMUST(n <= s->send_credit);\n\trecord_commit(&m->record, s->id, n);\n"
        "\ts->send_credit -= (uint32_t) n - (!m->is_server && n == s->send_credit ? 1 : 0);",
    ),
    # the peer may send one byte more than the window holds
    "grant_plus_one": ("\ts->grant_due += grant;", "\ts->grant_due += grant + (m->is_server ? 0 : 1);"),
    # who waits for credit is not told that it has come
    "lost_resume": (
        "\tif (s->wants_credit && s->send_credit > 0) {",
        "\tif (m->is_server && s->wants_credit && s->send_credit > 0) {",
    ),
    # bulk waits for an answer although none is due
    "stuck_bulk": (
        "\treturn f->is_marked && inflight_left(f) == 0;",
        "\treturn inflight_left(f) == 0;",
    ),
    # a reset is taken for the end of the data
    "reset_as_end": (
        ".kind = s->is_reset ? MUX_EV_RST : MUX_EV_FIN,",
        ".kind = s->is_reset && m->is_server ? MUX_EV_RST : MUX_EV_FIN,",
    ),
    # now and then a ping is not answered
    "lost_pong": (
        "\telse if (record_add_ctl(&m->record, &pong, 0) != 0)",
        "\telse if (!m->is_server && f->len % 8 == 0)\n\t\treturn false;\n"
        "\telse if (record_add_ctl(&m->record, &pong, 0) != 0)",
    ),
    # the id of a parked login is used for ever
    "stale_run_id": (
        "\tif (!was_up && runid_may_have_failed(cause, text, n_tries))",
        "\tif (!was_up && cause == CLIENT_CAUSE_REFUSED && runid_may_have_failed(cause, text, n_tries))",
    ),
    # a rival is never found
    "unseen_rival": ("\tr->evicted_ms = now_ms;", "\tr->evicted_ms = 0;"),
    # nobody wakes up to see that the path is dead
    "missed_deadline": ("\treturn min_u64(due, beat_deadline(&c->beat));", "\treturn due;"),
    # a process that did not run judges the login before it has looked
    "hasty_verdict": (
        "\tif (c->now_ms - c->login_due_ms > WAIT_LATE_MS) {",
        "\tif (c->now_ms >= c->login_held_ms || !c->has_heard) {\n"
        "\t\tclient_die(c, CLIENT_CAUSE_LATE, \"\");\n\t} else if (c->now_ms - c->login_due_ms > WAIT_LATE_MS) {",
    ),
    # one Ping and no more
    "lost_heartbeat": (
        "\t\tc->heartbeat_due_ms = c->now_ms + c->p.heartbeat_ms;",
        "\t\tc->heartbeat_due_ms = UINT64_MAX;",
    ),
    # good logins follow each other at once
    "lost_spacing": ("\tif (r->has_login)\n\t\tretry_not_before(", "\tif (r->has_login && r->n_tries > 9)\n\t\tretry_not_before("),
    # each hint that the path is back starts a try
    "retry_storm": ("\t\tretry_not_before(r, r->begun_ms + RETRY_HURRY_MS);", "\t\tretry_not_before(r, r->begun_ms);"),
    # a proxy that was refused waits for ever
    "lost_proxy": (
        "\t\tif (e->state == ROSTER_STATE_ASKED || (e->is_wanted && e->state != ROSTER_STATE_UP))",
        "\t\tif (e->state == ROSTER_STATE_ASKED || (e->is_wanted && e->state == ROSTER_STATE_OFF))",
    ),
    # a name is asked for again before it was closed
    "repeated_name": (
        "\treturn e->is_live && e->state != ROSTER_STATE_ASKED && e->state != ROSTER_STATE_UP;",
        "\treturn e->is_live && e->state == ROSTER_STATE_OFF && !e->is_wanted;",
    ),
    # what comes in one piece with StartWorkConn is dropped
    "lost_bytes": ("\tw->is_joined = true;\n\tws->n_unstarted--;", "\tw->is_joined = true;\n\tws->in.len = 0;\n\tws->n_unstarted--;"),
    # a work connection that was not used is not closed
    "unanswered_fin": ("\t\twork_close(w); /* a parked one", "\t\twork_free(w); /* a parked one"),
    # a work connection leaves something behind
    "leak": ("\tfirst_free(w);\n\tfree(w);", "\tif (w->is_joined)\n\t\tfirst_free(w);\n\tfree(w);"),
}  # fmt: skip


def make(name, source, copy):
    was, now = PLANTS[name]
    text = pathlib.Path(source).read_text()
    if text.count(was) != 1:
        sys.exit(f"plants.py: {name}: {source} has {text.count(was)} times, not once:\n{was}")
    pathlib.Path(copy).write_text(text.replace(was, now))


def run(*argv):
    """(status, what was broken first, its seed) of a program."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    seed = re.search(r"seed (\d+) fails; replay:", done.stderr)
    return done.returncode, done.stderr.split("\n")[0], int(seed.group(1)) if seed else None


def find(name, planted, clean, seeds):
    status, broken, seed = run(planted, "1", seeds)
    is_found = status != 0 and seed is not None and seed <= int(seeds)
    is_same = is_found and run(planted, str(seed), "1") == (status, broken, seed)
    is_right = is_found and run(clean, "1", str(seed))[0] == 0
    print("TAP version 13\n1..3")
    print(f"# {name}: {broken}")
    for number, (is_good, what) in enumerate(
        [
            (is_found, f"{name}_is_found_within_{seeds}_seeds"),
            (is_same, f"{name}_is_found_again_by_its_seed"),
            (is_right, f"without_{name}_the_same_seeds_pass"),
        ],
        1,
    ):
        print(f"{'' if is_good else 'not '}ok {number} {what}")
    return 0 if is_found and is_same and is_right else 1


if __name__ == "__main__":
    sys.exit({"make": make, "find": find}[sys.argv[1]](*sys.argv[2:]))
