// SPDX-License-Identifier: MIT
/* dmabuf devices: the devices and heaps that this machine has, with their parameters. */
#include "command.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "json-members.h"
#include "solve/solve.h"

struct devices_options {
	bool json;
	bool trial;
	enum color_mode color;
};

static int parse(struct devices_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "try", no_argument, NULL, 't' },
		{ "color", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
		if (option == 'j')
			options->json = true;
		else if (option == 't')
			options->trial = true;
		else if (option == 'c' && !color_parse(optarg, &options->color))
			return usage(&command_devices, "--color \"%s\": not auto, always or never",
				     optarg);
		else if (option == ':')
			return usage(&command_devices, "\"%s\" needs a value", argv[optind - 1]);
		else if (option == '?')
			return usage(&command_devices, "there is no option \"%s\"",
				     argv[optind - 1]);
	}
	if (optind < argc)
		return usage(&command_devices, "unexpected argument \"%s\"", argv[optind]);
	return EXIT_OK;
}

static void print_text(const struct solve_machine *m, bool bold)
{
	char text[512];

	printf("%s%-20s %-6s %s%s\n", color_bold(bold), "DEVICE", "KIND", "PARAMETERS",
	       color_end(bold));
	for (unsigned int i = 0; i < m->device_count; i++) {
		fields_describe(parameter_fields, &m->devices[i].parameters, text, sizeof(text));
		printf("%-20s %-6s %s\n", m->devices[i].name, m->devices[i].kind, text);
		solve_describe_source(&m->devices[i], text, sizeof(text));
		if (*text)
			printf("%-27s (%s)\n", "", text);
	}
	printf("\n%s%-20s %-6s %s%s\n", color_bold(bold), "HEAP", "THERE", "OFFERS",
	       color_end(bold));
	for (unsigned int i = 0; i < m->heap_count; i++) {
		struct dma_buf_heap_info h = m->heaps[i];

		/* Has a column of its own. */
		h.available = false;
		fields_describe(heap_fields, &h, text, sizeof(text));
		printf("%-20s %-6s %s\n", h.name, m->heaps[i].available ? "yes" : "no", text);
		make_printable(h.where);
		printf("%-27s (%s)\n", "", h.where);
	}
}

static void add_source(json_object *device, const struct solve_device *d)
{
	static const char *const names[] = { "kernel", "driver", "trial" };
	json_object *from = json_object_new_array();

	for (unsigned int i = 0; i < 3; i++)
		if (d->from & 1u << i)
			json_object_array_add(from, json_object_new_string(names[i]));
	json_add_bool(device, "known", d->known);
	json_object_object_add(device, "from", from);
	json_add_text(device, "about", d->about);
}

static void print_json(const struct solve_machine *m)
{
	json_object *object = json_object_new_object(), *devices = json_object_new_array();
	json_object *heaps = json_object_new_array();

	json_add_text(object, "schema", "dmabuf-devices/1");
	for (unsigned int i = 0; i < m->device_count; i++) {
		json_object *device = json_object_new_object();
		json_object *parameters = json_object_new_object();

		json_add_text(device, "name", m->devices[i].name);
		json_add_text(device, "kind", m->devices[i].kind);
		add_source(device, &m->devices[i]);
		fields_add_json(parameters, parameter_fields, &m->devices[i].parameters);
		json_object_object_add(device, "parameters", parameters);
		json_object_array_add(devices, device);
	}
	for (unsigned int i = 0; i < m->heap_count; i++) {
		json_object *heap = json_object_new_object();

		json_add_text(heap, "name", m->heaps[i].name);
		fields_add_json(heap, heap_fields, &m->heaps[i]);
		json_add_text(heap, "where", m->heaps[i].where);
		json_object_array_add(heaps, heap);
	}
	json_object_object_add(object, "devices", devices);
	json_object_object_add(object, "heaps", heaps);
	solve_print_json(object);
}

static int run(int argc, char **argv)
{
	struct devices_options options = { 0 };
	struct solve_machine *m;

	if (parse(&options, argc, argv) != EXIT_OK)
		return EXIT_USAGE;
	m = calloc(1, sizeof(*m));
	if (!m) {
		complain(&command_devices, "no memory");
		return EXIT_SETUP;
	}
	solve_look(m, options.trial);
	if (options.json)
		print_json(m);
	else
		print_text(m, color_wanted(options.color, stdout));
	free(m);
	return finish_stdout(&command_devices, EXIT_OK);
}

const struct command command_devices = {
	.name = "devices",
	.summary = "list this machine's devices and heaps with their parameters",
	.help = "Usage: dmabuf devices [OPTION]...\n\n"
		"Lists the devices of this machine that can share buffers, with what they need of\n"
		"memory, and the heaps that memory can come from, with what they offer. Block\n"
		"devices' limits are those of their queues; of graphics cards and cameras the\n"
		"kernel tells little, and the rest is what is known of drivers, or found by "
		"trial:\n"
		"it says which. Nothing is opened but files of /sys, /proc, /dev/dma_heap, and\n"
		"video devices.\n\n"
		"Options:\n"
		"      --try              give each video device a buffer, to see what it takes\n"
		"      --json             the same as JSON; `dmabuf solve` says what the fields "
		"mean\n"
		"      --color WHEN       auto, always or never\n"
		"      --help             this text\n\n"
		"Exit status: 0 all went well; 2 usage; 3 no memory.\n",
	.run = run,
};
