/* Asks the server, and hears from it. The token comes with the address (#token=...), and is not left there. */

const tokenOf = () => {
    const given = /^#token=(.+)$/.exec(location.hash);
    if (given) {
        sessionStorage.setItem("token", given[1]);
        history.replaceState(null, "", location.pathname + location.search);
    }
    return sessionStorage.getItem("token");
};

class Server {
    constructor() {
        this.token = tokenOf();
    }

    headers() {
        return this.token ? {Authorization: `Bearer ${this.token}`} : {};
    }

    /* The response; throws with the server's own words where it refuses. */
    async ask(path, options) {
        const response = await fetch(path, {
            cache: "no-store",
            ...options,
            headers: {...this.headers(), ...options?.headers},
        });
        if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).trim()}`);
        return response;
    }

    async json(path) {
        return (await this.ask(path)).json();
    }

    /* Calls event(kind, data) for each; returns when the stream ends, throws when it breaks. fetch and not
       EventSource, which cannot send the token. */
    async listen(path, event) {
        const reader = (await this.ask(path)).body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
            const {value, done} = await reader.read();
            if (done) return;
            const events = (rest + value).split("\n\n");
            rest = events.pop();
            for (const text of events) {
                const kind = /^event: (.*)$/m.exec(text)?.[1],
                    data = /^data: (.*)$/m.exec(text)?.[1];
                event(kind, data ? JSON.parse(data) : null);
            }
        }
    }
}
