/* A library that cases load: its variables are roots as any other's. */
void *plugin_global, *plugin_data = &plugin_global;
static __thread void *volatile plugin_local;
void plugin_keep(void *block);
void plugin_keep(void *block) { plugin_local = block; }
