/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h - the maxima and waits of the protocol half and its drivers, each with its reason; what
 * one file alone knows stands at its top. Floor 0.
 *
 * ms = milliseconds; sizes in bytes. */
#pragma once
/* clang-format off */

/* -- messages -- */
#define LIMIT_V1_BODY 10240            /* golib msg/json: frps drops the connection above it */
#define LIMIT_V2_BODY 65536            /* frp pkg/proto/wire: payload of one frame */
#define LIMIT_AEAD_RECORD 65536        /* golib crypto/aead_stream.go: plaintext of one record */
#define LIMIT_JSON_DEPTH 16            /* no frp message is deeper than 4; jansson's own limit is 2,048 */
#define LIMIT_NAME 512                 /* proxy name on the wire: fits many times into a v1 body */
#define LIMIT_RUN_ID 64                /* frp 0.71 validates run ids to this length */
#define LIMIT_CONTROL_OUT (256 * 1024) /* unsent control messages: 4,096 proxies' CloseProxy and Pings fit */

/* -- yamux -- */
#define LIMIT_WINDOW_MIN (256 * 1024)      /* yamux initial credit, both directions; cannot be withheld */
#define LIMIT_WINDOW_MAX (6 * 1024 * 1024) /* what the Go peer grants; more buys nothing at 300 ms */
#define LIMIT_WINDOW_THIN (16 * 1024)      /* what is left of it on a line that takes seconds for it */
#define LIMIT_RTT_SHORT_MS 4               /* below it LIMIT_WINDOW_MIN carries 64 MB/s a stream: windows stay */
#define LIMIT_STREAMS 4096                 /* default cap of concurrent streams */
#define LIMIT_STREAMS_UNACKED 128          /* frps resets SYNs beyond a backlog of 256 */
#define LIMIT_INFLIGHT (240 * 1024)        /* bulk behind a mark the server has not read, for each ms of its
                                            * distance: one core of ours sends about as much in that time; half
                                            * of it, from which on a mark goes, is less than a LIMIT_BATCH */
#define LIMIT_RECORD (16384 - 128)         /* plaintext of one TLS record: header and body of frames leave together;
                                            * sealed it fits a LIMIT_CHUNK; mbedTLS 3.6 makes two of 16384 in TLS 1.3 */
#define LIMIT_BATCH (8 * LIMIT_RECORD)     /* frames that leave together while the server takes all: one write, and one
                                            * read of a busy service, cost less than eight */
#define LIMIT_CTL (64 * 1024)              /* unsent window updates, pings, FINs: 5,461 frames */
#define LIMIT_TURN 16384                   /* bytes a bulk stream may send before the next one's turn; while the
                                            * server takes all: LIMIT_BATCH */
#define LIMIT_TURN_NEW 4096                /* bytes of a stream that just became busy (small messages first) */
#define LIMIT_PINGS_PER_S 100              /* a server that pings more often is closed */
#define LIMIT_BUDGET (56 * 1024 * 1024)    /* credit above LIMIT_WINDOW_MIN granted to all streams together;
                                            * 64 MiB with the windows of 30 streams that stall */
#define LIMIT_HELD (256 * 1024 * 1024)     /* bytes that services do not take, of all streams: 1,024 least windows;
                                            * beyond, the stream that has waited longest is reset */
#define LIMIT_STALLED (200 * LIMIT_WINDOW_MIN + 8 * 1024 * 1024) /* bytes of 200 such streams and the agent at rest */

/* -- work connections -- */
#define LIMIT_WORK_QUEUE 4096   /* ReqWorkConn not yet answered; one burst of 1,000 users asks for 1,001 */
#define LIMIT_WORK_PER_S 2000   /* token bucket for answering them */
#define LIMIT_WORK_UNSTARTED 64 /* opened and still without StartWorkConn: frps parks at most 15 in its pool */
#define LIMIT_DIALS 64          /* local or server dials at once */
#define LIMIT_PROXIES 4096      /* proxies of one client */

/* -- waits -- */
#define WAIT_LIMIT_TOLD_MS 10000   /* between two lines that say that a limit is reached */
#define WAIT_DIAL_MS 10000         /* TCP and proxy each: stock limit */
#define WAIT_TLS_MS 9400           /* this and the next two: who is silent is asked anew within 10 s */
#define WAIT_LOGIN_MS 9400         /* LoginResp when the session gives no sign of life */
#define WAIT_PROXY_RESP_MS 9400    /* NewProxyResp, then CloseProxy and ask again */
#define WAIT_VISIT_MS 10000        /* NewVisitorConnResp: stock limit */
#define WAIT_LOGIN_HELD_MS 60000   /* LoginResp while mux pings are answered (frps 0.65-0.70.0 park logins) */
#define WAIT_LOCAL_DIAL_MS 10000   /* local service: stock limit; frps gives a user 10 s as well */
#define WAIT_DNS_MS 5000           /* one query */
#define WAIT_NAME_MS 500           /* for its answer, before the server is dialed where it was last */
#define WAIT_NAME_KEPT_MS 120000   /* an answer that came after its dial had ended; longer than any try */
#define WAIT_HAPPY_MS 250          /* RFC 8305 connection attempt delay */
#define WAIT_PING_BUSY_MS 2000     /* silence before a mux ping while a stream is joined */
#define WAIT_PING_IDLE_MS 9000     /* the same while none is */
#define WAIT_DEAD_MS 14500         /* silence that ends a session: found in <= 15 s at any age */
#define WAIT_LATE_MS 1000          /* a deadline that fires later than this was not watched: no verdict */
#define WAIT_MARK_MS 4             /* beyond a round trip, until the server has read bulk; then more goes */
#define WAIT_QUEUE_MS 250          /* what a window may queue on a thin line, beyond the round trip */
#define WAIT_BUSY_MS 1000          /* a stream that is silent this long is idle, and not slow */
#define WAIT_CONFIRM_MS 100        /* the loop reads its sockets between the last deadline and the verdict */
#define WAIT_PROBE_MS 5000         /* the second chance after such a pause */
#define WAIT_HEARTBEAT_MS 30000    /* frp Ping on the control channel */
#define WAIT_LOGIN_SPACING_MS 2000 /* between the starts of successive good logins */
#define WAIT_GRACE_MS 10000        /* default drain time at SIGTERM */
#define WAIT_READY_FIRST_MS 100    /* between the first two questions to a node that is not ready; then doubled */
#define WAIT_READY_MS 1000         /* between two questions to a node that is not ready */
#define WAIT_READY_CALM_MS 5000    /* the same, to see whether one that was ready is still there */
#define WAIT_READY_ANSWER_MS 5000  /* for the answer: the network node's poll waits as long */
#define WAIT_SETTLE_MS 100         /* calm after news of addresses and links, before they are acted on */
#define WAIT_SETTLE_MAX_MS 500     /* the longest that one of them waits for calm */
#define WAIT_SECOND_COPY_MS 15000  /* a second agent waits this long for the first to end */

#define WAIT_SYN_ACK_MS 75000 /* stock peers give up a session whose SYN stays unanswered this long */
#define WAIT_LINGER_MS 60000  /* for the peer's FIN after ours: a stream it forgot never answers (stock: 5 min) */
#define WAIT_GOAWAY_MS 5000   /* joined streams may finish this long after the server's GoAway 0 */

#define WAIT_LOCAL_EOF_MS 1000 /* a service told of the user's end may finish its last words this long */
#define WAIT_STUCK_MS 60000    /* a service may pause this long with bytes of a user who is gone */

/* -- sockets -- */
#define LIMIT_DESCRIPTORS_KEPT 16                /* not for users: the server, its look-up, a token file, the admin */
#define LIMIT_CIPHER_BUF (256 * 1024)            /* one read of the server's connection; one such buffer for the loop */
#define LIMIT_PLAIN_BUF (64 * 1024)              /* of it decrypted at a time: frames of 32 KiB leave in one write */
#define LIMIT_CHUNK (16384 - 16)                 /* unit of the write queues: four pages with malloc's head */
#define LIMIT_SEAL 512                           /* more than TLS adds to one record */
#define LIMIT_LINK_QUEUED (2 * 16 * 1024 + 4096) /* two TLS records unsent, then nothing more is encrypted */
#define LIMIT_LINK_BATCH (8 * 16 * 1024 + 4096)  /* the same, for a LIMIT_BATCH, while the socket has taken all of the
                                                  * last LIMIT_LINK_RUN bytes */
#define LIMIT_LINK_RUN (1024 * 1024)             /* 8 s at 1 Mbit/s: its socket is full long before */
#define LIMIT_UNSENT (64 * 1024)                 /* in the kernel on the way to the server: 0.5 s at 1 Mbit/s */
#define LIMIT_LOCAL_UNREAD (256 * 1024)          /* in the kernel, of a service on this machine: more goes cold */
#define LIMIT_LOCAL_QUEUED (256 * 1024)          /* bytes for a local service kept before a socket source is stopped */

/* -- datagrams -- */
#define LIMIT_UDP_PEERS 1024       /* users of one udp work connection with a socket of their own */
#define LIMIT_UDP_OUT (256 * 1024) /* frames waiting for the path to the server; then they are dropped */
#define LIMIT_UDP_PACKET 65507     /* payload of UDP over IPv4; what the binary form carries at most */
#define WAIT_UDP_IDLE_MS 30000     /* without a datagram either way, as frpc */
#define WAIT_UDP_PING_MS 30000     /* frps closes a udp work connection that is silent for 60 s */
#define WAIT_UDP_VISIT_MS 60000    /* a sudp visit that hears nothing this long is closed, as by frpc */
#define WAIT_UDP_AGAIN_MS 1000     /* after a refused visit; datagrams until then are dropped */

/* -- visitors -- */
#define LIMIT_VISITOR_ASKED 64    /* users of one visitor without an answer yet; the next ones wait */
#define LIMIT_VISITOR_BACKLOG 511 /* users that wait in the kernel */
#define WAIT_VISITOR_BIND_MS 5000 /* until a port that was taken is tried again */
#define WAIT_VISITOR_BUSY_MS 100  /* until the users that wait are looked at again */

/* -- admin API -- */
#define LIMIT_HTTP_HEAD 8192                /* of a request: what common servers take */
#define LIMIT_HTTP_BODY (1024 * 1024)       /* a whole configuration file */
#define LIMIT_HTTP_ANSWER (4 * 1024 * 1024) /* the status of LIMIT_PROXIES proxies with long names */
#define LIMIT_HTTP_CONNS 16                 /* at once; the next ones wait in the kernel */
#define WAIT_HTTP_REQUEST_MS 10000          /* from the first byte of a request to its last */
#define WAIT_HTTP_IDLE_MS 60000             /* between two requests; also the time to take an answer */
#define WAIT_HTTP_LINGER_MS 1000            /* for the end of a peer that was answered and told so */

/* -- log files -- */
#define LIMIT_LOG_FILE (64 * 1024 * 1024) /* a file is rotated at this size, and each day */
#define LIMIT_LOG_FILES 32                /* rotated files kept: a hot debug log does not fill the disk */
#define WAIT_LOG_REOPEN_MS 1000           /* between two looks whether the log file is still there */

/* -- proxies to the server, token programs -- */
#define LIMIT_HOP_HEAD 16384        /* of a proxy's answer to CONNECT: login pages come after the head */
#define LIMIT_TOKEN_OUT (64 * 1024) /* a token file, or what a token program prints: more is a wrong path */
#define WAIT_TOKEN_EXEC_MS 10000    /* for a token program to end */
/* clang-format on */
