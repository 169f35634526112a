%% Runs inside the ejabberd node at its start: creates the accounts and the rosters from a binary file, then writes the
%% file `ready`. Rosters are in memory, as RAM copies of Mnesia, which is ejabberd's fastest way to read them.
%%
%% The file has little-endian 32-bit numbers: the number of users; then for each user the number of friends and their
%% indices.
-module(rosters).
-export([run/0]).

run() -> spawn(fun load/0), ok.

load() ->
    ok = started(600),
    Folder = os:getenv("PEERS_FOLDER"),
    {ok, <<Users:32/little, Rest/binary>>} = file:read_file(filename:join(Folder, "friends.bin")),
    ok = mnesia:wait_for_tables([passwd, roster], 60000),
    [ok = ejabberd_auth:try_register(name(I), <<"localhost">>, <<"pw">>) || I <- lists:seq(0, Users - 1)],
    {atomic, ok} = mnesia:change_table_copy_type(roster, node(), ram_copies),
    {atomic, ok} = mnesia:del_table_index(roster, us),
    ok = fill(0, Rest),
    {atomic, ok} = mnesia:add_table_index(roster, us),
    garbage_collect(),
    ok = file:write_file(filename:join(Folder, "ready"), <<"ready">>).

started(0) -> {error, timeout};
started(Left) ->
    case lists:keymember(ejabberd, 1, application:which_applications()) of
        true -> ok;
        false -> timer:sleep(200), started(Left - 1)
    end.

name(I) -> <<"u", (integer_to_binary(I))/binary>>.

fill(_, <<>>) -> ok;
fill(I, <<Count:32/little, Rest/binary>>) ->
    <<Friends:(Count * 4)/binary, More/binary>> = Rest,
    true = ets:insert(roster, [item(name(I), name(F)) || <<F:32/little>> <= Friends]),
    fill(I + 1, More).

%% Both are subscribed to each other.
item(Me, Friend) ->
    Jid = {Friend, <<"localhost">>, <<>>},
    {roster, {Me, <<"localhost">>, Jid}, {Me, <<"localhost">>}, Jid, <<>>, both, none, [], <<>>, []}.
