import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.util.UUID
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.concurrent.thread
import kotlin.system.exitProcess
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.async
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.selects.select
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json
import org.hildan.krossbow.stomp.StompClient
import org.hildan.krossbow.stomp.StompSession
import org.hildan.krossbow.stomp.config.HeartBeat
import org.hildan.krossbow.stomp.config.HeartBeatTolerance
import org.hildan.krossbow.stomp.frame.FrameBody
import org.hildan.krossbow.stomp.frame.StompFrame
import org.hildan.krossbow.stomp.headers.StompSendHeaders
import org.hildan.krossbow.stomp.headers.StompSubscribeHeaders
import org.hildan.krossbow.stomp.instrumentation.KrossbowInstrumentation
import org.hildan.krossbow.websocket.WebSocketFrame
import org.hildan.krossbow.websocket.jdk.Jdk11WebSocketClient

/*
 * Krossbow: sends each line you type to the room with user 2 and prints what is written there. It shows refusals, comes back
 * after a lost connection without missing or repeating anything, and stays away when the service has ended its session.
 */

val TOKEN: String? = System.getenv("TOKEN")
val API: String = System.getenv("API") ?: "http://127.0.0.1:7071"
val CHAT: String = System.getenv("CHAT") ?: "ws://127.0.0.1:8080/client/hubs/chat"

@Serializable class Room(val roomId: Long)
@Serializable class Outgoing(val roomId: Long, val content: String, val clientMessageId: String)
@Serializable class Incoming(val seq: Long, val senderNickname: String, val content: String)
@Serializable class SessionClosed(val reason: String)

/** Of an ERROR frame and of a refusal. */
@Serializable class Problem(val code: String, val message: String, val retryAfter: Int = 1, val clientMessageId: String? = null) {
    /** Whether the same can be sent again. */
    val passes get() = code == "UNAVAILABLE" || code == "RATE_LIMIT_EXCEEDED"
}

val json = Json { ignoreUnknownKeys = true }
fun say(text: String) = System.err.println(text)

class Chat(private val roomId: Long) {
    /** What an ERROR frame said; where the service closes first, Krossbow loses the exception it makes of one. */
    @Volatile private var lastWord: Problem? = null
    private val client = StompClient(Jdk11WebSocketClient()) {
        receiptTimeout = 20.seconds
        // The service sends something at least once a minute, so that a dead network is noticed soon after one.
        heartBeat = HeartBeat(expectedPeriod = 60.seconds)
        heartBeatTolerance = HeartBeatTolerance(incomingMargin = 10.seconds)
        instrumentation = object : KrossbowInstrumentation {
            override suspend fun onFrameDecoded(originalFrame: WebSocketFrame, decodedFrame: StompFrame) {
                if (decodedFrame is StompFrame.Error) lastWord = json.decodeFromString(decodedFrame.bodyAsText)
            }
        }
    }
    private var lastSeq = 0L // of the last message that was printed
    private val outbox = ConcurrentLinkedQueue<Outgoing>() // what the service has not accepted yet
    private val written = Channel<Unit>(Channel.CONFLATED)

    fun write(content: String) {
        outbox += Outgoing(roomId, content, UUID.randomUUID().toString())
        written.trySend(Unit)
    }

    /** Until the service ends the session. */
    suspend fun run() {
        var pause = 1.seconds
        while (true) {
            try {
                // A token that can run out belongs here: ask for a new one each time.
                val session = client.connect("$CHAT?token=$TOKEN")
                say("connected")
                pause = 1.seconds
                use(session)
            } catch (failure: Exception) {
                if (lastWord?.let(::isFinal) == true) return
                lastWord = null
                say("not connected, trying again: ${failure.message}")
            }
            delay(pause)
            pause = (pause * 2).coerceAtMost(30.seconds)
        }
    }

    /**
     * An ERROR frame is the service's last word before it closes. After SESSION_CLOSED (another device has the place, or a
     * logout) coming back would only end the other one; and what else comes here would come again, unless it passes.
     */
    private fun isFinal(problem: Problem): Boolean {
        say("closed: ${problem.code} ${problem.message}")
        return !problem.passes
    }

    /** Until the connection is lost: then one coroutine fails, and with it all of them. */
    private suspend fun use(session: StompSession): Unit = coroutineScope {
        val refusals = Channel<Problem>(1)
        // First, so that the others' refusals come there.
        listen(session, "/user/queue/errors") {
            val problem = json.decodeFromString<Problem>(it.bodyAsText)
            say("refused: ${problem.code} ${problem.message}")
            val isMessage = problem.clientMessageId != null // else it is the SUBSCRIBE to the room
            if (isMessage && problem.clientMessageId == outbox.peek()?.clientMessageId) refusals.send(problem)
            if (!isMessage && problem.passes) launch {
                delay(problem.retryAfter.seconds)
                joinRoom(session)
            }
        }
        listen(session, "/user/queue/session") {
            say("session ended: ${json.decodeFromString<SessionClosed>(it.bodyAsText).reason}")
        }
        joinRoom(session)
        sendAll(session, refusals)
    }

    /** The destination as the subscription's id: of all ids this one costs the service least. */
    private suspend fun CoroutineScope.listen(
        session: StompSession,
        destination: String,
        headers: Map<String, String> = emptyMap(),
        handle: suspend (StompFrame.Message) -> Unit,
    ) {
        val messages = session.subscribe(StompSubscribeHeaders(destination) {
            id = destination
            setAll(headers)
        })
        launch {
            messages.collect(handle)
            error("closed")
        }
    }

    /** What was written since the last printed message comes first; at the very first time the last 200. */
    private suspend fun CoroutineScope.joinRoom(session: StompSession) =
        listen(session, "/sub/chat/room/$roomId", mapOf("last-seq" to "$lastSeq")) {
            val message = json.decodeFromString<Incoming>(it.bodyAsText)
            if (message.seq > lastSeq) {
                if (it.headers["gap"] != null) say("more than 200 were missed: the history has the others")
                lastSeq = message.seq
                println("${message.senderNickname}: ${message.content}")
            }
        }

    /** One after the other, so that they stay in order. Sent again with the same clientMessageId, it is stored once. */
    private suspend fun sendAll(session: StompSession, refusals: Channel<Problem>) {
        while (true) {
            val first = outbox.peek()
            if (first == null) {
                written.receive()
                continue
            }
            val problem = send(session, first, refusals)
            if (problem == null) say("accepted")
            if (problem != null && problem.passes) delay(problem.retryAfter.seconds) else outbox.remove()
        }
    }

    /** Returns when the receipt is there, or the refusal. */
    private suspend fun send(session: StompSession, message: Outgoing, refusals: Channel<Problem>) = coroutineScope {
        val headers = StompSendHeaders("/pub/chat/message") { receipt = message.clientMessageId }
        val accepted = async { session.send(headers, FrameBody.Text(json.encodeToString(message))) }
        select<Problem?> {
            accepted.onAwait { null }
            refusals.onReceive { it }
        }.also { accepted.cancel() }
    }
}

fun openRoom(): Room {
    val request = HttpRequest.newBuilder(URI("$API/api/v1/chat/rooms"))
        .header("Authorization", "Bearer $TOKEN")
        .POST(HttpRequest.BodyPublishers.ofString("""{"targetUserId":2}"""))
        .build()
    val response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString())
    check(response.statusCode() in 200..201) { "no room, is TOKEN set? ${response.body()}" }
    return json.decodeFromString(response.body())
}

fun main() {
    val chat = Chat(openRoom().roomId)
    thread(isDaemon = true) { generateSequence(::readLine).forEach(chat::write) }
    runBlocking { chat.run() }
    exitProcess(1)
}
