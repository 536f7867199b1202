/* SPDX-License-Identifier: Apache-2.0 */
/* join.c - from a proxy's type to what serves its users. Floor 5. */
#include "agent/tunnel/join.h"

#include "agent/tunnel/pxudp.h"
#include "agent/tunnel/relay.h"

static int join_datagrams(struct joined_host *h, const struct conf *conf, struct end e,
			  struct proxy *proxy)
{
	struct pxudp_params p = {
		.proxy = proxy,
		.form = conf->wire == WIRE_V1 ? DGRAM_V1 : DGRAM_V2, /* binary is never offered */
		.packet_max = conf->udp_packet_size,
	};

	return pxudp_start(h, e, &p);
}

static int join_stream(struct joined_host *h, struct end e, struct proxy *proxy,
		       const struct msg_start_work_conn *start)
{
	struct relay_source source = {
		.src_addr = start->src_addr,
		.dst_addr = start->dst_addr,
		.src_port = (uint16_t) start->src_port,
		.dst_port = (uint16_t) start->dst_port,
	};

	return relay_start(h, e, proxy, &source);
}

int join_user(struct joined_host *h, const struct conf *conf, struct end e, struct proxy *proxy,
	      const struct msg_start_work_conn *start)
{
	switch (proxy->conf->kind) {
	case CONF_TYPE_UDP:
	case CONF_TYPE_SUDP: return join_datagrams(h, conf, e, proxy);
	case CONF_TYPE_TCP:
	case CONF_TYPE_HTTP:
	case CONF_TYPE_HTTPS:
	case CONF_TYPE_TCPMUX:
	case CONF_TYPE_STCP: return join_stream(h, e, proxy, start);
	}
	return -EINVAL;
}
